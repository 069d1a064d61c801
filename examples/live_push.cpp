// SPDX-License-Identifier: MPL-2.0

// Pushes a live test picture and tone, and prints the messages of wmspushsink.
//
//   $ c++ -std=c++17 -o live_push examples/live_push.cpp $(pkg-config --cflags --libs gstreamer-1.0)
//   $ export GST_PLUGIN_PATH=$PWD/target/release
//   $ ./live_push http://127.0.0.1:8080/live
//
// PUSH_USER and PUSH_PASSWORD in the environment answer a server that demands a user and a password.
// Ctrl-C or SIGTERM ends the push in good order: the exit status is 0. After an ERROR it is 1. A second Ctrl-C ends the
// program at once.

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <glib-unix.h>
#include <gst/gst.h>

namespace {

constexpr const char *default_location = "http://127.0.0.1:8080/live";

constexpr const char *description =
    "videotestsrc is-live=true ! wmspushbin name=push "
    "audiotestsrc is-live=true ! push.";

// Fields of a failure that are shown beside its text.
constexpr const char *shown_details[] = {
    "phase", "reason", "hresult-name", "http-status-code", "http-reason", "hint"};

// The bit of GstWmsPushCredentialFlags.
constexpr guint clear_text = 1 << 1;

// What GLib and GStreamer hand over is given back by the function in its type.
template <auto release>
struct Release {
  template <typename T>
  void operator()(T *pointer) const { release(pointer); }
};
template <typename T>
using Object = std::unique_ptr<T, Release<gst_object_unref>>;
using Text = std::unique_ptr<char, Release<g_free>>;
using Failure = std::unique_ptr<GError, Release<g_error_free>>;
using Structure = std::unique_ptr<GstStructure, Release<gst_structure_free>>;
using Loop = std::unique_ptr<GMainLoop, Release<g_main_loop_unref>>;

std::string text_of(const GstStructure *structure, const char *name) {
  const char *text = gst_structure_get_string(structure, name);
  return text != nullptr ? text : "";
}

void show_progress(GstMessage *message) {
  GstProgressType type;
  char *code, *text;
  gst_message_parse_progress(message, &type, &code, &text);
  const Text owned_code{code}, owned_text{text};
  const std::unique_ptr<GEnumClass, Release<g_type_class_unref>> types{
      static_cast<GEnumClass *>(g_type_class_ref(GST_TYPE_PROGRESS_TYPE))};
  std::cout << "PROGRESS " << code << ' ' << g_enum_get_value(types.get(), type)->value_nick << ": " << text << std::endl;
}

void show_status(const GstStructure *status) {
  // Other elements post messages as well.
  if (!gst_structure_has_name(status, "wmspushsink-status"))
    return;
  const auto reason = text_of(status, "reason");
  std::cout << "STATUS " << text_of(status, "wmt-status-name") << ' ' << text_of(status, "previous-state") << " -> "
            << text_of(status, "state") << ' ' << text_of(status, "hresult-name") << (reason.empty() ? "" : " ")
            << reason << std::endl;
}

// Fields that do not apply are 0 or empty.
void show_details(const GstStructure *details) {
  for (const char *name : shown_details) {
    guint number = 0;
    if (gst_structure_get_uint(details, name, &number) && number != 0)
      std::cout << "    " << name << ": " << number << std::endl;
    else if (const auto text = text_of(details, name); !text.empty())
      std::cout << "    " << name << ": " << text << std::endl;
  }
}

// For WARNING and ERROR. Other elements have a debug string instead of details.
void show_failure(std::string_view kind, GstMessage *message, decltype(gst_message_parse_error) parse,
                  decltype(gst_message_parse_error_details) parse_details) {
  GError *error;
  char *debug;
  const GstStructure *details;
  parse(message, &error, &debug);
  parse_details(message, &details);
  const Failure owned_error{error};
  const Text owned_debug{debug};
  std::cout << kind << ' ' << error->message << std::endl;
  if (details != nullptr)
    show_details(details);
  else if (debug != nullptr)
    std::cout << "    " << debug << std::endl;
}

void show(GstMessage *message) {
  switch (GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_PROGRESS:
      return show_progress(message);
    case GST_MESSAGE_ELEMENT:
      return show_status(gst_message_get_structure(message));
    case GST_MESSAGE_WARNING:
      return show_failure("WARNING", message, gst_message_parse_warning, gst_message_parse_warning_details);
    case GST_MESSAGE_ERROR:
      return show_failure("ERROR", message, gst_message_parse_error, gst_message_parse_error_details);
    case GST_MESSAGE_EOS:
      std::cout << "EOS" << std::endl;
      return;
    default:
      return;
  }
}

// Runs on a thread of its own. nullptr gives up: after a refusal, and if the password would be sent unencrypted.
GstStructure *on_acquire_credentials(GstElement *, const char *, const char *site, const char *, guint flags,
                                     guint hresult, gpointer) {
  const char *user = std::getenv("PUSH_USER");
  const char *password = std::getenv("PUSH_PASSWORD");
  std::cout << "CREDENTIALS " << site << " demands a user and a password" << std::endl;
  if (hresult != 0 || (flags & clear_text) != 0 || user == nullptr || password == nullptr)
    return nullptr;
  return gst_structure_new("credentials", "user", G_TYPE_STRING, user, "password", G_TYPE_STRING, password, nullptr);
}

// One push, from the first message to the last.
class LivePush {
 public:
  LivePush(Object<GstElement> parsed, const char *location)
      : pipeline{std::move(parsed)}, push{gst_bin_get_by_name(GST_BIN(pipeline.get()), "push")} {
    g_object_set(push.get(), "location", location, nullptr);
    g_signal_connect(push.get(), "acquire-credentials", G_CALLBACK(on_acquire_credentials), nullptr);
  }

  ~LivePush() { gst_element_set_state(pipeline.get(), GST_STATE_NULL); }

  LivePush(const LivePush &) = delete;
  LivePush &operator=(const LivePush &) = delete;

  // Plays until EOS or ERROR.
  bool run() {
    const Object<GstBus> bus{gst_element_get_bus(pipeline.get())};
    gst_bus_add_watch(
        bus.get(), [](GstBus *, GstMessage *message, gpointer self) { return of(self).on_message(message); }, this);
    for (int number : {SIGINT, SIGTERM})
      g_unix_signal_add(number, on_signal, this);
    // If this fails, an ERROR on the bus has the reason.
    gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
    g_main_loop_run(loop.get());
    gst_bus_remove_watch(bus.get());
    return ended_well;
  }

  void show_stats() const {
    GstStructure *stats;
    g_object_get(push.get(), "stats", &stats, nullptr);
    const Structure owned{stats};
    for (const char *name : {"packets-sent", "bytes-sent"}) {
      guint64 number = 0;
      gst_structure_get_uint64(stats, name, &number);
      std::cout << name << ": " << number << std::endl;
    }
  }

 private:
  static LivePush &of(gpointer self) { return *static_cast<LivePush *>(self); }

  gboolean on_message(GstMessage *message) {
    show(message);
    switch (GST_MESSAGE_TYPE(message)) {
      case GST_MESSAGE_STATE_CHANGED:
        on_state_changed(message);
        break;
      case GST_MESSAGE_EOS:
      case GST_MESSAGE_ERROR:
        ended_well = GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS;
        g_main_loop_quit(loop.get());
        break;
      default:
        break;
    }
    return G_SOURCE_CONTINUE;
  }

  void on_state_changed(GstMessage *message) {
    GstState state;
    gst_message_parse_state_changed(message, nullptr, &state, nullptr);
    if (GST_MESSAGE_SRC(message) != GST_OBJECT(pipeline.get()) || state != GST_STATE_PLAYING)
      return;
    playing = true;
    if (ending)
      send_eos();
  }

  // Each signal is caught once: the next one ends the program, even while send_eos blocks.
  static gboolean on_signal(gpointer self) {
    g_idle_add([](gpointer self) { return of(self).end(); }, self);
    return G_SOURCE_REMOVE;
  }

  gboolean end() {
    if (!ending) {
      std::cout << "Ending the push; a second Ctrl-C quits at once" << std::endl;
      ending = true;
      if (playing)
        send_eos();
    }
    return G_SOURCE_REMOVE;
  }

  // Only in PLAYING: an earlier EOS would deadlock with the pipeline.
  void send_eos() { gst_element_send_event(pipeline.get(), gst_event_new_eos()); }

  Object<GstElement> pipeline, push;
  Loop loop{g_main_loop_new(nullptr, FALSE)};
  bool playing = false, ending = false, ended_well = false;
};

}  // namespace

int main(int argc, char *argv[]) {
  gst_init(&argc, &argv);
  GError *error = nullptr;
  Object<GstElement> pipeline{gst_parse_launch_full(description, nullptr, GST_PARSE_FLAG_FATAL_ERRORS, &error)};
  if (!pipeline) {
    const Failure owned{error};
    std::cerr << "live_push: " << error->message << std::endl;
    return EXIT_FAILURE;
  }
  LivePush push{std::move(pipeline), argc > 1 ? argv[1] : default_location};
  std::cout << "Ctrl-C ends the push" << std::endl;
  const bool ended_well = push.run();
  push.show_stats();
  return ended_well ? EXIT_SUCCESS : EXIT_FAILURE;
}
