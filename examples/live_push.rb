#!/usr/bin/env ruby
# SPDX-License-Identifier: MPL-2.0

# Pushes a live test picture and tone, and prints the messages of wmspushsink.
#
#   $ export GST_PLUGIN_PATH=$PWD/target/release
#   $ ruby examples/live_push.rb http://127.0.0.1:8080/live
#
# It needs Ruby/GStreamer: ruby-gstreamer on Debian.
# PUSH_USER and PUSH_PASSWORD in the environment answer a server that demands a user and a password.
# Ctrl-C or SIGTERM ends the push in good order: the exit status is 0. After an ERROR it is 1. A second Ctrl-C ends the
# program at once.

require "gst"

DEFAULT_LOCATION = "http://127.0.0.1:8080/live"

PIPELINE = <<~PIPELINE
  videotestsrc is-live=true ! wmspushbin name=push
  audiotestsrc is-live=true ! push.
PIPELINE

# Fields of a failure that are shown beside its text.
DETAILS = %w[phase reason hresult-name http-status-code http-reason hint].freeze

# The bit of GstWmsPushCredentialFlags.
CLEAR_TEXT = 1 << 1

# Lines come at once, also into a pipe.
$stdout.sync = true

# What the bus says, as text.
module Show
  module_function

  def message(message)
    case message.type
    when Gst::MessageType::PROGRESS
      kind, code, text = message.parse_progress
      puts "PROGRESS #{code} #{kind.nick}: #{text}"
    when Gst::MessageType::ELEMENT then status(message.structure)
    when Gst::MessageType::WARNING then failure("WARNING", message, :parse_warning)
    when Gst::MessageType::ERROR then failure("ERROR", message, :parse_error)
    when Gst::MessageType::EOS then puts "EOS"
    end
  end

  def status(status)
    # Other elements post messages as well.
    return unless status.name == "wmspushsink-status"

    name, previous, state, hresult, reason =
      %w[wmt-status-name previous-state state hresult-name reason].map { |field| status.get_string(field) }
    puts "STATUS #{name} #{previous} -> #{state} #{hresult} #{reason}".rstrip
  end

  # Other elements have a debug string instead of details.
  def failure(kind, message, parse)
    error, debug = parsed(message, parse)
    puts "#{kind} #{error.message}"
    if message.structure.has_field?("details")
      details(message.structure.get_value("details").value)
    elsif debug
      puts "    #{debug}"
    end
  end

  # Ruby/GStreamer 3.4 parses no failures, and 4.3 crashes after reading the field.
  def parsed(message, parse)
    message.public_send(parse)
  rescue NotImplementedError
    [message.structure.get_value("gerror").value, message.structure.get_string("debug")]
  end

  # Fields that do not apply are 0 or empty.
  def details(details)
    DETAILS.each do |name|
      value = details.get_value(name).value if details.has_field?(name)
      puts "    #{name}: #{value}" unless [nil, 0, ""].include?(value)
    end
  end

  def stats(stats)
    %w[packets-sent bytes-sent].each { |name| puts "#{name}: #{stats.get_value(name).value}" }
  end
end

# One push, from the first message to the last.
class LivePush
  def initialize(location)
    @pipeline = Gst.parse_launch(PIPELINE)
    @push = @pipeline.get_by_name("push")
    @push.location = location
    # The handler runs on another thread, where Ruby/GStreamer cannot make a class for a type that it has not met.
    GLib::Type["GstWmsPushCredentialFlags"].to_class
    @push.signal_connect("acquire-credentials") do |_push, _realm, site, _user, flags, hresult|
      credentials(site, flags, hresult)
    end
    @loop = GLib::MainLoop.new
  end

  # Plays until the session is closed, which is a good end, or until an ERROR.
  def run
    @pipeline.bus.add_watch { |_bus, message| on_message(message) }
    %w[INT TERM].each { |name| trap(name) { on_signal(name) } }
    # If this fails, an ERROR on the bus has the reason.
    @pipeline.set_state(Gst::State::PLAYING)
    @loop.run
    Show.stats(@push.stats)
    @pipeline.set_state(Gst::State::NULL)
    @ended_well
  end

  private

  # nil gives up: after a refusal, and if the password would be sent unencrypted.
  def credentials(site, flags, hresult)
    puts "CREDENTIALS #{site} demands a user and a password"
    user, password = ENV.values_at("PUSH_USER", "PUSH_PASSWORD")
    return if hresult != 0 || flags.to_i & CLEAR_TEXT != 0 || !user || !password

    credentials = Gst::Structure.new("credentials")
    credentials.set_value("user", user)
    credentials.set_value("password", password)
    credentials
  end

  def on_message(message)
    Show.message(message)
    case message.type
    when Gst::MessageType::ERROR, Gst::MessageType::EOS
      quit(message.type == Gst::MessageType::EOS)
    when Gst::MessageType::ELEMENT
      on_status(message.structure)
    end
    true
  end

  def on_status(status)
    return unless status.name == "wmspushsink-status"

    case status.get_string("wmt-status-name")
    when "WMT_STARTED" then on_streaming
    when "WMT_CLOSED" then quit(status.get_string("hresult-name") == "S_OK")
    end
  end

  def quit(ended_well)
    @ended_well = ended_well
    @loop.quit
  end

  def on_streaming
    @streaming = true
    end_session if @ending
  end

  # Each signal is caught once: the next one ends the program, even while a call blocks.
  def on_signal(name)
    trap(name, "SYSTEM_DEFAULT")
    GLib::Idle.add { finish }
  end

  def finish
    unless @ending
      puts "Ending the push; a second Ctrl-C quits at once"
      @ending = true
      end_session if @streaming
    end
    false
  end

  # In place of EOS, because Ruby/GStreamer 3.4 cannot send events. WMT_CLOSED follows.
  def end_session
    @push.signal_emit("end-session")
  end
end

begin
  push = LivePush.new(ARGV.fetch(0, DEFAULT_LOCATION))
rescue GLib::Error => e
  abort "live_push: #{e.message}"
end
puts "Ctrl-C ends the push"
exit push.run
