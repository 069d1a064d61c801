/* SPDX-License-Identifier: MPL-2.0 */

/*
 * Pushes a live test picture and tone, and prints the messages of wmspushsink.
 *
 *   $ cc -o live_push examples/live_push.c $(pkg-config --cflags --libs gstreamer-1.0)
 *   $ export GST_PLUGIN_PATH=$PWD/target/release
 *   $ ./live_push http://127.0.0.1:8080/live
 *
 * PUSH_USER and PUSH_PASSWORD in the environment answer a server that demands a user and a password.
 * Ctrl-C or SIGTERM ends the push in good order: the exit status is 0. After an ERROR it is 1. A second Ctrl-C ends the
 * program at once.
 */

#include <glib-unix.h>
#include <gst/gst.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_LOCATION "http://127.0.0.1:8080/live"

#define PIPELINE \
  "videotestsrc is-live=true ! wmspushbin name=push " \
  "audiotestsrc is-live=true ! push."

/* The bit of GstWmsPushCredentialFlags. */
#define CLEAR_TEXT (1 << 1)

/* Fields of a failure that are shown beside its text. */
static const char *const DETAILS[] = {
  "phase", "reason", "hresult-name", "http-status-code", "http-reason", "hint"
};

typedef struct
{
  GMainLoop *loop;
  GstElement *pipeline;
  gboolean playing;
  gboolean ending;
  int exit_status;
} Push;

static const char *
text_of (const GstStructure *structure, const char *name)
{
  const char *text = gst_structure_get_string (structure, name);

  return text != NULL ? text : "";
}

static void
show_progress (GstMessage *message)
{
  GstProgressType type;
  char *code, *text;

  gst_message_parse_progress (message, &type, &code, &text);
  GEnumClass *types = g_type_class_ref (GST_TYPE_PROGRESS_TYPE);
  printf ("PROGRESS %s %s: %s\n", code, g_enum_get_value (types, type)->value_nick, text);
  g_type_class_unref (types);
  g_free (code);
  g_free (text);
}

static void
show_status (const GstStructure *status)
{
  /* Other elements post messages as well. */
  if (!gst_structure_has_name (status, "wmspushsink-status"))
    return;
  const char *reason = text_of (status, "reason");
  printf ("STATUS %s %s -> %s %s%s%s\n", text_of (status, "wmt-status-name"), text_of (status, "previous-state"),
      text_of (status, "state"), text_of (status, "hresult-name"), *reason != '\0' ? " " : "", reason);
}

/* Fields that do not apply are 0 or empty. */
static void
show_details (const GstStructure *details)
{
  for (guint i = 0; i < G_N_ELEMENTS (DETAILS); i++) {
    const char *text = text_of (details, DETAILS[i]);
    guint number = 0;

    if (gst_structure_get_uint (details, DETAILS[i], &number) && number != 0)
      printf ("    %s: %u\n", DETAILS[i], number);
    else if (*text != '\0')
      printf ("    %s: %s\n", DETAILS[i], text);
  }
}

/* Takes the error and the debug string. Other elements have a debug string instead of details. */
static void
show_failure (const char *kind, GError *error, char *debug, const GstStructure *details)
{
  printf ("%s %s\n", kind, error->message);
  if (details != NULL)
    show_details (details);
  else if (debug != NULL)
    printf ("    %s\n", debug);
  g_error_free (error);
  g_free (debug);
}

static void
show_warning (GstMessage *message)
{
  GError *error;
  char *debug;
  const GstStructure *details;

  gst_message_parse_warning (message, &error, &debug);
  gst_message_parse_warning_details (message, &details);
  show_failure ("WARNING", error, debug, details);
}

static void
show_error (GstMessage *message)
{
  GError *error;
  char *debug;
  const GstStructure *details;

  gst_message_parse_error (message, &error, &debug);
  gst_message_parse_error_details (message, &details);
  show_failure ("ERROR", error, debug, details);
}

/* Runs on a thread of its own. NULL gives up: after a refusal, and if the password would be sent unencrypted. */
static GstStructure *
on_acquire_credentials (GstElement *sink G_GNUC_UNUSED, const char *realm G_GNUC_UNUSED, const char *site,
    const char *previous_user G_GNUC_UNUSED, guint flags, guint hresult, gpointer data G_GNUC_UNUSED)
{
  const char *user = g_getenv ("PUSH_USER");
  const char *password = g_getenv ("PUSH_PASSWORD");

  printf ("CREDENTIALS %s demands a user and a password\n", site);
  if (hresult != 0 || (flags & CLEAR_TEXT) != 0 || user == NULL || password == NULL)
    return NULL;
  return gst_structure_new ("credentials", "user", G_TYPE_STRING, user, "password", G_TYPE_STRING, password, NULL);
}

static void
show_stats (GstElement *sink)
{
  GstStructure *stats;
  guint64 packets = 0, bytes = 0;

  g_object_get (sink, "stats", &stats, NULL);
  gst_structure_get_uint64 (stats, "packets-sent", &packets);
  gst_structure_get_uint64 (stats, "bytes-sent", &bytes);
  printf ("packets-sent: %" G_GUINT64_FORMAT "\n", packets);
  printf ("bytes-sent: %" G_GUINT64_FORMAT "\n", bytes);
  gst_structure_free (stats);
}

/* Only in PLAYING: an earlier EOS would deadlock with the pipeline. */
static void
send_eos (Push *push)
{
  gst_element_send_event (push->pipeline, gst_event_new_eos ());
}

static void
on_state_changed (Push *push, GstMessage *message)
{
  GstState state;

  gst_message_parse_state_changed (message, NULL, &state, NULL);
  if (GST_MESSAGE_SRC (message) != GST_OBJECT (push->pipeline) || state != GST_STATE_PLAYING)
    return;
  push->playing = TRUE;
  if (push->ending)
    send_eos (push);
}

static gboolean
on_message (GstBus *bus G_GNUC_UNUSED, GstMessage *message, gpointer data)
{
  Push *push = data;

  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_PROGRESS:
      show_progress (message);
      break;
    case GST_MESSAGE_ELEMENT:
      show_status (gst_message_get_structure (message));
      break;
    case GST_MESSAGE_WARNING:
      show_warning (message);
      break;
    case GST_MESSAGE_STATE_CHANGED:
      on_state_changed (push, message);
      break;
    case GST_MESSAGE_ERROR:
      show_error (message);
      g_main_loop_quit (push->loop);
      break;
    case GST_MESSAGE_EOS:
      puts ("EOS");
      push->exit_status = EXIT_SUCCESS;
      g_main_loop_quit (push->loop);
      break;
    default:
      break;
  }
  return G_SOURCE_CONTINUE;
}

static gboolean
end (gpointer data)
{
  Push *push = data;

  if (!push->ending) {
    puts ("Ending the push; a second Ctrl-C quits at once");
    push->ending = TRUE;
    if (push->playing)
      send_eos (push);
  }
  return G_SOURCE_REMOVE;
}

/* Each signal is caught once: the next one does what it does without a handler, even while send_eos waits. */
static gboolean
on_signal (gpointer data)
{
  g_idle_add (end, data);
  return G_SOURCE_REMOVE;
}

/* Plays until EOS or ERROR. */
static void
run (Push *push)
{
  GstBus *bus = gst_element_get_bus (push->pipeline);

  gst_bus_add_watch (bus, on_message, push);
  g_unix_signal_add (SIGINT, on_signal, push);
  g_unix_signal_add (SIGTERM, on_signal, push);
  /* If this fails, an ERROR on the bus has the reason. */
  gst_element_set_state (push->pipeline, GST_STATE_PLAYING);
  g_main_loop_run (push->loop);
  gst_bus_remove_watch (bus);
  gst_object_unref (bus);
}

int
main (int argc, char *argv[])
{
  GError *error = NULL;

  gst_init (&argc, &argv);
  /* Lines come at once, also into a pipe. */
  setvbuf (stdout, NULL, _IOLBF, BUFSIZ);
  const char *location = argc > 1 ? argv[1] : DEFAULT_LOCATION;
  GstElement *pipeline = gst_parse_launch_full (PIPELINE, NULL, GST_PARSE_FLAG_FATAL_ERRORS, &error);
  if (pipeline == NULL) {
    fprintf (stderr, "live_push: %s\n", error->message);
    g_error_free (error);
    return EXIT_FAILURE;
  }
  GstElement *sink = gst_bin_get_by_name (GST_BIN (pipeline), "push");
  g_object_set (sink, "location", location, NULL);
  g_signal_connect (sink, "acquire-credentials", G_CALLBACK (on_acquire_credentials), NULL);

  puts ("Ctrl-C ends the push");
  Push push = { .loop = g_main_loop_new (NULL, FALSE), .pipeline = pipeline, .exit_status = EXIT_FAILURE };
  run (&push);
  show_stats (sink);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (sink);
  gst_object_unref (pipeline);
  g_main_loop_unref (push.loop);
  return push.exit_status;
}
