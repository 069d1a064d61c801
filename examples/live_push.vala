// SPDX-License-Identifier: MPL-2.0

// Pushes a live test picture and tone, and prints the messages of wmspushsink.
//
//   $ valac -X -w -o live_push --pkg gstreamer-1.0 --pkg posix examples/live_push.vala
//   $ export GST_PLUGIN_PATH=$PWD/target/release
//   $ ./live_push http://127.0.0.1:8080/live
//
// PUSH_USER and PUSH_PASSWORD in the environment answer a server that demands a user and a password.
// Ctrl-C or SIGTERM ends the push in good order: the exit status is 0. After an ERROR it is 1. A second Ctrl-C ends the
// program at once.

const string DEFAULT_LOCATION = "http://127.0.0.1:8080/live";

const string PIPELINE = "videotestsrc is-live=true ! wmspushbin name=push audiotestsrc is-live=true ! push.";

// Fields of a failure that are shown beside its text.
const string[] DETAILS = { "phase", "reason", "hresult-name", "http-status-code", "http-reason", "hint" };

// The bit of GstWmsPushCredentialFlags.
const uint CLEAR_TEXT = 1 << 1;

// Runs on a thread of its own. null gives up: after a refusal, and if the password would be sent unencrypted.
Gst.Structure? on_acquire_credentials (Gst.Element sink, string? realm, string site, string? previous_user, uint flags,
    uint hresult) {
  var user = Environment.get_variable ("PUSH_USER");
  var password = Environment.get_variable ("PUSH_PASSWORD");

  print ("CREDENTIALS %s demands a user and a password\n", site);
  if (hresult != 0 || (flags & CLEAR_TEXT) != 0 || user == null || password == null)
    return null;
  return new Gst.Structure ("credentials", "user", typeof (string), user, "password", typeof (string), password);
}

// One push, from the first message to the last.
class LivePush {
  private Gst.Bin pipeline;
  private Gst.Element push;
  private MainLoop loop = new MainLoop ();
  private bool playing = false;
  private bool ending = false;
  private bool ended_well = false;

  public LivePush (string location) throws Error {
    pipeline = (Gst.Bin) Gst.parse_launch (PIPELINE);
    push = pipeline.get_by_name ("push");
    push.set ("location", location);
    Signal.connect (push, "acquire-credentials", (Callback) on_acquire_credentials, null);
  }

  // Plays until EOS or ERROR.
  public bool run () {
    pipeline.get_bus ().add_watch (Priority.DEFAULT, on_message);
    foreach (var number in new int[] { Posix.Signal.INT, Posix.Signal.TERM })
      Unix.signal_add (number, on_signal);
    // If this fails, an ERROR on the bus has the reason.
    pipeline.set_state (Gst.State.PLAYING);
    loop.run ();
    show_stats ();
    pipeline.set_state (Gst.State.NULL);
    return ended_well;
  }

  private bool on_message (Gst.Bus bus, Gst.Message message) {
    show (message);
    switch (message.type) {
      case Gst.MessageType.STATE_CHANGED:
        Gst.State state;
        message.parse_state_changed (null, out state, null);
        if (message.src == pipeline && state == Gst.State.PLAYING)
          on_playing ();
        break;
      case Gst.MessageType.EOS:
      case Gst.MessageType.ERROR:
        ended_well = message.type == Gst.MessageType.EOS;
        loop.quit ();
        break;
      default:
        break;
    }
    return Source.CONTINUE;
  }

  private void on_playing () {
    playing = true;
    if (ending)
      send_eos ();
  }

  // Each signal is caught once: the next one ends the program, even while send_eos blocks.
  private bool on_signal () {
    Idle.add (end);
    return Source.REMOVE;
  }

  private bool end () {
    if (!ending) {
      print ("Ending the push; a second Ctrl-C quits at once\n");
      ending = true;
      if (playing)
        send_eos ();
    }
    return Source.REMOVE;
  }

  // Only in PLAYING: an earlier EOS would deadlock with the pipeline.
  private void send_eos () {
    pipeline.send_event (new Gst.Event.eos ());
  }

  private void show_stats () {
    Gst.Structure stats;
    push.get ("stats", out stats);
    foreach (var name in new string[] { "packets-sent", "bytes-sent" }) {
      uint64 number;
      stats.get_uint64 (name, out number);
      print ("%s: %s\n", name, number.to_string ());
    }
  }
}

void show (Gst.Message message) {
  Error error;
  string debug;
  unowned Gst.Structure details;

  switch (message.type) {
    case Gst.MessageType.PROGRESS:
      Gst.ProgressType type;
      string code, text;
      message.parse_progress (out type, out code, out text);
      var types = (EnumClass) typeof (Gst.ProgressType).class_ref ();
      print ("PROGRESS %s %s: %s\n", code, types.get_value (type).value_nick, text);
      break;
    case Gst.MessageType.ELEMENT:
      show_status (message.get_structure ());
      break;
    case Gst.MessageType.WARNING:
      message.parse_warning (out error, out debug);
      message.parse_warning_details (out details);
      show_failure ("WARNING", error, debug, details);
      break;
    case Gst.MessageType.ERROR:
      message.parse_error (out error, out debug);
      message.parse_error_details (out details);
      show_failure ("ERROR", error, debug, details);
      break;
    case Gst.MessageType.EOS:
      print ("EOS\n");
      break;
    default:
      break;
  }
}

void show_status (Gst.Structure status) {
  // Other elements post messages as well.
  if (!status.has_name ("wmspushsink-status"))
    return;
  var line = "STATUS %s %s -> %s %s %s".printf (status.get_string ("wmt-status-name"),
      status.get_string ("previous-state"), status.get_string ("state"), status.get_string ("hresult-name"),
      status.get_string ("reason"));
  print ("%s\n", line.strip ());
}

// Other elements have a debug string instead of details.
void show_failure (string kind, Error error, string? debug, Gst.Structure? details) {
  print ("%s %s\n", kind, error.message);
  if (details != null)
    show_details (details);
  else if (debug != null)
    print ("    %s\n", debug);
}

// Fields that do not apply are 0 or empty.
void show_details (Gst.Structure details) {
  foreach (var name in DETAILS) {
    unowned var text = details.get_string (name);
    uint number;
    if (details.get_uint (name, out number) && number != 0)
      print ("    %s: %u\n", name, number);
    else if (text != null && text != "")
      print ("    %s: %s\n", name, text);
  }
}

int main (string[] args) {
  Gst.init (ref args);
  try {
    var push = new LivePush (args.length > 1 ? args[1] : DEFAULT_LOCATION);
    print ("Ctrl-C ends the push\n");
    return push.run () ? 0 : 1;
  } catch (Error error) {
    printerr ("live_push: %s\n", error.message);
    return 1;
  }
}
