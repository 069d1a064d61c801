// SPDX-License-Identifier: MPL-2.0

//! Headless Chromium, controlled by the DevTools protocol over a pipe.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// Time limit for a response, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Standard input and output become the two ends of the pipe that Chromium expects.
const SCRIPT: &str =
    r#"exec chromium "$@" --remote-debugging-pipe 3<&0 4>&1 </dev/null >/dev/null"#;

pub struct Browser {
    child: Child,
    requests: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    last_id: u64,
    /// Events received so far.
    pub events: Vec<Value>,
    profile: PathBuf,
}

impl Browser {
    /// Starts a browser with one empty page.
    pub fn start(test: &str) -> Self {
        let name = format!("browser_{test}_{}", std::process::id());
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT, "sh", "--headless", "--disable-gpu"])
            // Containers and root have no sandbox; the page is the project's own.
            .args(["--no-sandbox", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, messages) = channel();
        let pipe = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for message in pipe.split(0).map_while(Result::ok) {
                let _ = sender.send(serde_json::from_slice(&message).unwrap());
            }
        });
        let requests = child.stdin.take().unwrap();
        let mut browser = Self {
            child,
            requests,
            messages,
            session: None,
            last_id: 0,
            events: Vec::new(),
            profile,
        };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = self.call(
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        );
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    fn message(&mut self) -> Value {
        self.messages
            .recv_timeout(PATIENCE)
            .expect("no answer of chromium; `cargo xtask test` installs what is needed")
    }

    /// Sends a command. Returns its result.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut request = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = &self.session {
            request["sessionId"] = session.as_str().into();
        }
        let _ = write!(self.requests, "{request}\0");
        loop {
            let mut message = self.message();
            if message["id"] == self.last_id {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    /// Opens a page, and waits for its load event.
    pub fn open(&mut self, url: &str) {
        let loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        self.events.retain(|event| !loaded(event));
        self.call("Page.navigate", json!({ "url": url }));
        while !self.events.iter().any(loaded) {
            let message = self.message();
            self.events.push(message);
        }
    }

    /// Evaluates an expression, and awaits its promise.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut result = self.call("Runtime.evaluate", params);
        assert_eq!(result["exceptionDetails"], Value::Null, "{expression}");
        result["result"]["value"].take()
    }

    /// Waits until an expression is truthy, and evaluates it again after each change of the document.
    pub fn wait_for(&mut self, expression: &str) -> Value {
        self.evaluate(&format!(
            "new Promise((resolve) => {{
                const check = () => {{
                    const value = {expression};
                    if (value) {{ observer.disconnect(); resolve(value); }}
                }};
                const observer = new MutationObserver(check);
                const all = {{ subtree: true, childList: true, characterData: true, attributes: true }};
                observer.observe(document, all);
                check();
            }})"
        ))
    }

    /// Sets the width of the screen, and the preference for dark colours.
    pub fn screen(&mut self, width: u32, dark: bool) {
        let phone = width < 600;
        let height = if phone { 844 } else { 900 };
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone }),
        );
        let value = if dark { "dark" } else { "light" };
        let feature = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": feature }));
    }

    /// Saves a screenshot of the whole page, for inspection.
    pub fn screenshot(&mut self, name: &str) {
        let params = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.call("Page.captureScreenshot", params);
        let encoded = picture["data"].as_str().unwrap();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        use base64::Engine as _;
        let engine = base64::engine::general_purpose::STANDARD;
        std::fs::write(path, engine.decode(encoded).unwrap()).unwrap();
    }

    /// Returns exceptions of scripts, and violations of the content security policy.
    pub fn complaints(&self) -> Vec<&Value> {
        let events = self.events.iter();
        events
            .filter(|event| {
                let method = event["method"].as_str().unwrap_or_default();
                method == "Runtime.exceptionThrown" || method == "Log.entryAdded"
            })
            .collect()
    }

    /// Returns all requested URLs.
    pub fn requested(&self) -> Vec<&str> {
        let sent = |event: &&Value| event["method"] == "Network.requestWillBeSent";
        let events = self.events.iter().filter(sent);
        events
            .filter_map(|event| event["params"]["request"]["url"].as_str())
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Child processes hold the pipe and write to the profile. They end with the browser if it closes itself.
        let _ = write!(self.requests, "{{\"id\":0,\"method\":\"Browser.close\"}}\0");
        while self.messages.recv_timeout(PATIENCE).is_ok() {}
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
