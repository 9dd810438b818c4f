//! Chromium without a window, driven by its DevTools protocol over a pipe: messages are JSON with a zero byte after each.
//! A pipe needs no port and no driver.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use xtask::tool;

/// Names that Chromium has.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The browser of this machine.
pub fn find() -> Option<PathBuf> {
    NAMES.iter().find_map(|name| tool::find(name))
}

/// A running browser. Its end is the end of the process.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    last_id: u64,
    /// What it told unasked since the last [`events`](Self::events).
    told: Vec<Value>,
}

impl Browser {
    /// Starts it with a profile of its own.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(program: &Path, profile: &Path) -> Result<Self> {
        // It reads commands from descriptor 3 and answers on 4; the shell puts the pipes there.
        let script = "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(program).arg(format!("--user-data-dir={}", profile.display()));
        command.args([
            "--headless=new",
            "--remote-debugging-pipe",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
        ]);
        if nix::unistd::geteuid().is_root() {
            // Its sandbox refuses root. It opens nothing here but files of this repository.
            command.arg("--no-sandbox");
        }
        command.arg("about:blank").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start Chromium")?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("Chromium has no pipes");
        };
        Ok(Self { child, input, output: BufReader::new(output), last_id: 0, told: Vec::new() })
    }

    /// A new, empty tab; its session.
    ///
    /// # Errors
    /// If the browser does not answer.
    pub fn tab(&mut self) -> Result<String> {
        let target = self.ask("", "Target.createTarget", json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.ask("", "Target.attachToTarget", attach)?;
        session["sessionId"].as_str().map(str::to_owned).context("Chromium named no session")
    }

    /// Sends a command to a tab, or to the browser if `session` is empty, and waits for its answer.
    ///
    /// # Errors
    /// If the browser is gone or refuses.
    pub fn ask(&mut self, session: &str, method: &str, params: Value) -> Result<Value> {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": params});
        if let (false, Some(message)) = (session.is_empty(), message.as_object_mut()) {
            message.insert("sessionId".to_owned(), session.into());
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        self.input.write_all(&bytes).with_context(|| format!("tell Chromium {method}"))?;
        loop {
            let mut heard = self.hear().with_context(|| format!("wait for {method}"))?;
            if heard["id"].as_u64() != Some(self.last_id) {
                self.told.push(heard);
                continue;
            }
            if let Some(error) = heard.get("error") {
                bail!("Chromium refuses {method}: {error}");
            }
            return Ok(heard["result"].take());
        }
    }

    /// Waits until it has told an event of a tab.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn wait_for(&mut self, session: &str, method: &str) -> Result<()> {
        let is_it = |told: &Value| told["method"] == method && told["sessionId"] == session;
        while !self.told.iter().any(is_it) {
            let heard = self.hear().with_context(|| format!("wait for {method}"))?;
            self.told.push(heard);
        }
        Ok(())
    }

    /// All that it told unasked since the last time.
    pub fn events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.told)
    }

    fn hear(&mut self) -> Result<Value> {
        let mut bytes = Vec::new();
        self.output.read_until(0, &mut bytes)?;
        anyhow::ensure!(bytes.pop() == Some(0), "Chromium has ended");
        serde_json::from_slice(&bytes).context("read what Chromium says")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
