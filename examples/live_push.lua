#!/usr/bin/env lua5.3
-- SPDX-License-Identifier: MPL-2.0

-- Pushes a live test picture and tone, and prints the messages of wmspushsink.
--
--   $ export GST_PLUGIN_PATH=$PWD/target/release
--   $ lua5.3 examples/live_push.lua http://127.0.0.1:8080/live
--
-- It needs LGI and GStreamer's typelibs: lua-lgi, lua5.3 and gir1.2-gstreamer-1.0 on Debian.
-- PUSH_USER and PUSH_PASSWORD in the environment are for a server that demands a user and a password. They are set before,
-- because LGI's handlers are not safe on foreign threads, and acquire-credentials is emitted on one.
-- Ctrl-C or SIGTERM ends the push in good order: the exit status is 0. After an ERROR it is 1. A second Ctrl-C ends the
-- program at once.

local lgi = require 'lgi'
local GLib, Gst = lgi.GLib, lgi.require('Gst', '1.0')

local DEFAULT_LOCATION = 'http://127.0.0.1:8080/live'

local PIPELINE = [[
    videotestsrc is-live=true ! wmspushbin name=push
    audiotestsrc is-live=true ! push.]]

-- Fields of a failure that are shown beside its text.
local DETAILS = { 'phase', 'reason', 'hresult-name', 'http-status-code', 'http-reason', 'hint' }

local SIGINT, SIGTERM = 2, 15

-- GLib 2.80 has moved it to a typelib of its own.
local moved, unix = pcall(lgi.require, 'GLibUnix', '2.0')
local add_signal = moved and unix.signal_add or GLib.unix_signal_add

-- Lines come at once, also into a pipe.
io.stdout:setvbuf('line')

local function say(...)
  print((string.format(...):gsub('%s+$', '')))
end

-- Fields that do not apply are 0 or empty.
local function show_details(details)
  for _, name in ipairs(DETAILS) do
    local value = details:has_field(name) and details:get_value(name).value
    if value and value ~= 0 and value ~= '' then
      say('    %s: %s', name, type(value) == 'number' and math.tointeger(value) or value)
    end
  end
end

-- Other elements have a debug string instead of details.
local function show_failure(kind, err, debug, details)
  say('%s %s', kind, err.message)
  if details then
    show_details(details)
  elseif debug then
    say('    %s', debug)
  end
end

local function show_status(status)
  -- Other elements post messages as well.
  if status:get_name() ~= 'wmspushsink-status' then return end
  local function text(name) return status:get_string(name) end
  say('STATUS %s %s -> %s %s %s', text 'wmt-status-name', text 'previous-state', text 'state', text 'hresult-name',
    text 'reason')
end

local function show(message)
  if message.type.PROGRESS then
    local kind, code, text = message:parse_progress()
    say('PROGRESS %s %s: %s', code, kind:lower(), text)
  elseif message.type.ELEMENT then
    show_status(message:get_structure())
  elseif message.type.WARNING then
    local err, debug = message:parse_warning()
    show_failure('WARNING', err, debug, message:parse_warning_details())
  elseif message.type.ERROR then
    local err, debug = message:parse_error()
    show_failure('ERROR', err, debug, message:parse_error_details())
  elseif message.type.EOS then
    say('EOS')
  end
end

local function show_stats(stats)
  for _, name in ipairs { 'packets-sent', 'bytes-sent' } do
    say('%s: %d', name, math.tointeger(stats:get_value(name).value))
  end
end

-- Plays until EOS or ERROR.
local function run(pipeline)
  local loop = GLib.MainLoop()
  local playing, ending, ended_well = false, false, false

  -- Only in PLAYING: an earlier EOS would deadlock with the pipeline.
  local function end_when_playing()
    if playing and ending then pipeline:send_event(Gst.Event.new_eos()) end
  end

  local function on_message(_, message)
    show(message)
    if message.type.EOS or message.type.ERROR then
      ended_well = message.type.EOS == true
      loop:quit()
    elseif message.type.STATE_CHANGED and message.src == pipeline then
      local _, state = message:parse_state_changed()
      if state == 'PLAYING' and not playing then
        playing = true
        end_when_playing()
      end
    end
    return GLib.SOURCE_CONTINUE
  end

  local function finish()
    if not ending then
      say('Ending the push; a second Ctrl-C quits at once')
      ending = true
      end_when_playing()
    end
    return GLib.SOURCE_REMOVE
  end

  -- Each signal is caught once: the next one ends the program, even while sending EOS blocks.
  local function on_signal()
    GLib.idle_add(GLib.PRIORITY_DEFAULT, finish)
    return GLib.SOURCE_REMOVE
  end

  pipeline:get_bus():add_watch(GLib.PRIORITY_DEFAULT, on_message)
  for _, number in ipairs { SIGINT, SIGTERM } do
    add_signal(GLib.PRIORITY_DEFAULT, number, on_signal)
  end
  -- If this fails, an ERROR on the bus has the reason.
  pipeline:set_state('PLAYING')
  loop:run()
  return ended_well
end

Gst.init()
local pipeline, err = Gst.parse_launch(PIPELINE)
if err then
  io.stderr:write('live_push: ', err.message, '\n')
  os.exit(1)
end
local push = pipeline:get_by_name('push')
push.location = arg[1] or DEFAULT_LOCATION
push.user_id = os.getenv 'PUSH_USER'
push.user_pw = os.getenv 'PUSH_PASSWORD'
say('Ctrl-C ends the push')
local ended_well = run(pipeline)
show_stats(push.stats)
pipeline:set_state('NULL')
os.exit(ended_well)
