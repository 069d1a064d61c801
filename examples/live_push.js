#!/usr/bin/env -S gjs -m
// SPDX-License-Identifier: MPL-2.0

// Pushes a live test picture and tone, and prints the messages of wmspushsink.
//
//   $ export GST_PLUGIN_PATH=$PWD/target/release
//   $ gjs -m examples/live_push.js http://127.0.0.1:8080/live
//
// It needs gjs and GStreamer's typelibs: gjs and gir1.2-gstreamer-1.0 on Debian.
// PUSH_USER and PUSH_PASSWORD in the environment are for a server that demands a user and a password. They are set before,
// because gjs runs no handler of a signal like acquire-credentials, which is emitted on a thread of its own.
// Ctrl-C or SIGTERM ends the push in good order: the exit status is 0. After an ERROR it is 1. A second Ctrl-C ends the
// program at once.

import GLib from 'gi://GLib';
import Gst from 'gi://Gst?version=1.0';
import System from 'system';

const DEFAULT_LOCATION = 'http://127.0.0.1:8080/live';

const PIPELINE = `
    videotestsrc is-live=true ! wmspushbin name=push
    audiotestsrc is-live=true ! push.`;

// Fields of a failure that are shown beside its text.
const DETAILS = ['phase', 'reason', 'hresult-name', 'http-status-code', 'http-reason', 'hint'];

const SIGINT = 2;
const SIGTERM = 15;

// GLib 2.80 has moved it to a typelib of its own.
const addSignal = await import('gi://GLibUnix?version=2.0').then(
    module => module.default.signal_add, () => GLib.unix_signal_add);

// One push, from the first message to the last.
class LivePush {
    constructor(location) {
        this.pipeline = Gst.parse_launch(PIPELINE);
        this.sink = this.pipeline.get_by_name('push');
        this.sink.location = location;
        this.sink.user_id = GLib.getenv('PUSH_USER');
        this.sink.user_pw = GLib.getenv('PUSH_PASSWORD');
        this.loop = GLib.MainLoop.new(null, false);
        this.playing = false;
        this.ending = false;
        this.endedWell = false;
    }

    // Plays until EOS or ERROR.
    run() {
        const bus = this.pipeline.get_bus();
        bus.add_watch(GLib.PRIORITY_DEFAULT, (_bus, message) => this.onMessage(message));
        for (const number of [SIGINT, SIGTERM])
            addSignal(GLib.PRIORITY_DEFAULT, number, () => this.onSignal());
        // If this fails, an ERROR on the bus has the reason.
        this.pipeline.set_state(Gst.State.PLAYING);
        this.loop.run();
        showStats(this.sink.stats);
        this.pipeline.set_state(Gst.State.NULL);
        return this.endedWell;
    }

    onMessage(message) {
        show(message);
        if (message.type === Gst.MessageType.EOS || message.type === Gst.MessageType.ERROR) {
            this.endedWell = message.type === Gst.MessageType.EOS;
            this.loop.quit();
        } else if (message.type === Gst.MessageType.STATE_CHANGED && message.src === this.pipeline) {
            const [, state] = message.parse_state_changed();
            if (state === Gst.State.PLAYING)
                this.onPlaying();
        }
        return GLib.SOURCE_CONTINUE;
    }

    onPlaying() {
        this.playing = true;
        if (this.ending)
            this.sendEos();
    }

    // Each signal is caught once: the next one does what it does without a handler, even while sendEos waits.
    onSignal() {
        GLib.idle_add(GLib.PRIORITY_DEFAULT, () => this.end());
        return GLib.SOURCE_REMOVE;
    }

    end() {
        if (!this.ending) {
            print('Ending the push; a second Ctrl-C quits at once');
            this.ending = true;
            if (this.playing)
                this.sendEos();
        }
        return GLib.SOURCE_REMOVE;
    }

    // Only in PLAYING: an earlier EOS would deadlock with the pipeline.
    sendEos() {
        this.pipeline.send_event(Gst.Event.new_eos());
    }
}

function show(message) {
    switch (message.type) {
    case Gst.MessageType.PROGRESS:
        showProgress(message);
        break;
    case Gst.MessageType.ELEMENT:
        showStatus(message.get_structure());
        break;
    case Gst.MessageType.WARNING:
        showFailure('WARNING', message.parse_warning(), message.parse_warning_details());
        break;
    case Gst.MessageType.ERROR:
        showFailure('ERROR', message.parse_error(), message.parse_error_details());
        break;
    case Gst.MessageType.EOS:
        print('EOS');
        break;
    }
}

function showProgress(message) {
    const [type, code, text] = message.parse_progress();
    const kind = Object.keys(Gst.ProgressType).find(name => Gst.ProgressType[name] === type);
    print(`PROGRESS ${code} ${kind.toLowerCase()}: ${text}`);
}

function showStatus(status) {
    // Other elements post messages as well.
    if (status.get_name() !== 'wmspushsink-status')
        return;
    const text = name => status.get_string(name);
    const states = `${text('previous-state')} -> ${text('state')}`;
    print(`STATUS ${text('wmt-status-name')} ${states} ${text('hresult-name')} ${text('reason')}`.trimEnd());
}

// Other elements have a debug string instead of details.
function showFailure(kind, [error, debug], details) {
    print(`${kind} ${error.message}`);
    if (details)
        showDetails(details);
    else if (debug)
        print(`    ${debug}`);
}

// Fields that do not apply are 0 or empty.
function showDetails(details) {
    for (const name of DETAILS) {
        const value = details.has_field(name) ? details.get_value(name) : null;
        if (value)
            print(`    ${name}: ${value}`);
    }
}

function showStats(stats) {
    for (const name of ['packets-sent', 'bytes-sent'])
        print(`${name}: ${stats.get_value(name)}`);
}

function main([location = DEFAULT_LOCATION]) {
    Gst.init(null);
    try {
        const push = new LivePush(location);
        print('Ctrl-C ends the push');
        return push.run() ? 0 : 1;
    } catch (error) {
        printerr(`live_push: ${error.message}`);
        return 1;
    }
}

System.exit(main(System.programArgs));
