//! One way of looking at a page, and what is wrong with it so.

use super::address;
use super::browser::Browser;
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use xtask::tool;

/// What is wrong with the shape of a page, in its own words.
const SHAPE: &str = include_str!("shape.js");
/// What axe-core says against it.
const AXE: &str = "axe.run(document).then(result => result.violations.flatMap(one => one.nodes.map(node => \
                   `axe ${one.id}: ${one.help}: ${node.html.slice(0, 200)}`)))";

/// A way of looking at a page.
#[derive(Debug)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// Pixels from left to right.
    width: u32,
    is_dark: bool,
    is_print: bool,
}

/// All ways. Paper is A4 with margins of 12 mm: 186 mm at 96 pixels per inch.
pub const VIEWS: [View; 4] = [
    View { name: "light", width: 1_100, is_dark: false, is_print: false },
    View { name: "dark", width: 1_100, is_dark: true, is_print: false },
    View { name: "narrow", width: 360, is_dark: false, is_print: false },
    View { name: "print", width: 703, is_dark: false, is_print: true },
];

impl View {
    /// Opens the page, leaves a picture of it in `place`, and tells what is wrong.
    ///
    /// # Errors
    /// If the browser does not do what it is asked.
    pub fn look(&self, browser: &mut Browser, page: &Path, axe: &str, place: &Path) -> Result<Vec<String>> {
        let tab = browser.tab()?;
        for part in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&tab, &format!("{part}.enable"), json!({}))?;
        }
        let scheme = if self.is_dark { "dark" } else { "light" };
        let media = json!({
            "media": if self.is_print { "print" } else { "screen" },
            "features": [{"name": "prefers-color-scheme", "value": scheme}],
        });
        browser.ask(&tab, "Emulation.setEmulatedMedia", media)?;
        let size = json!({
            "width": self.width, "height": 800, "deviceScaleFactor": 1, "mobile": self.width < 500,
        });
        browser.ask(&tab, "Emulation.setDeviceMetricsOverride", size)?;
        let url = address(page);
        browser.events();
        let opened = browser.ask(&tab, "Page.navigate", json!({"url": url}))?;
        if let Some(error) = opened.get("errorText") {
            bail!("Chromium does not open {url}: {error}");
        }
        browser.wait_for(&tab, "Page.loadEventFired")?;

        let name = format!("{}-{}", page.file_stem().unwrap_or_default().to_string_lossy(), self.name);
        self.picture(browser, &tab, &place.join(&name))?;
        let events = browser.events();
        let mut faults: Vec<_> = events.iter().filter_map(|event| complaint(event, &tab, &url)).collect();
        faults.extend(lines_of(&evaluate(browser, &tab, SHAPE)?)?);
        // It gives nothing back; its own checks are asked for next.
        evaluate(browser, &tab, &format!("{axe};0"))?;
        faults.extend(lines_of(&evaluate(browser, &tab, AXE)?)?);
        browser.ask(&tab, "Page.close", json!({}))?;
        Ok(faults)
    }

    fn picture(&self, browser: &mut Browser, tab: &str, file: &Path) -> Result<()> {
        let (method, params, ending) = if self.is_print {
            let margin = 12.0 / 25.4;
            let params = json!({
                "printBackground": true, "paperWidth": 210.0 / 25.4, "paperHeight": 297.0 / 25.4,
                "marginTop": margin, "marginBottom": margin, "marginLeft": margin, "marginRight": margin,
            });
            ("Page.printToPDF", params, "pdf")
        } else {
            ("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": true}), "png")
        };
        let made = browser.ask(tab, method, params)?;
        let data = made["data"].as_str().context("Chromium made no picture")?;
        let file = file.with_extension(ending);
        let mut decode = tool::command("sh", ["-c", "base64 -d > \"$0\""]);
        tool::run_with_input(decode.arg(&file), data.as_bytes()).map(drop)
    }
}

/// The value of a script in the page, waited for if it is a promise.
fn evaluate(browser: &mut Browser, tab: &str, script: &str) -> Result<Value> {
    let params = json!({"expression": script, "returnByValue": true, "awaitPromise": true});
    let mut result = browser.ask(tab, "Runtime.evaluate", params)?;
    if let Some(error) = result.get("exceptionDetails") {
        bail!("the page's check fails: {error}");
    }
    Ok(result["result"]["value"].take())
}

/// The lines that a script gives.
fn lines_of(value: &Value) -> Result<Vec<String>> {
    let lines = value.as_array().context("the page's check says nothing")?;
    Ok(lines.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// What an event of this tab complains of: an error or warning, or a request for anything but the page.
fn complaint(event: &Value, tab: &str, page: &str) -> Option<String> {
    if event["sessionId"] != tab {
        return None;
    }
    let params = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(format!("exception: {}", params["exceptionDetails"]["text"])),
        "Runtime.consoleAPICalled" => Some(format!("console: {}", params["args"])),
        "Log.entryAdded" => Some(format!("log: {}", params["entry"]["text"])),
        "Network.requestWillBeSent" => {
            let asked = params["request"]["url"].as_str()?;
            (asked != page).then(|| format!("asks for {asked}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_outside_is_a_complaint() {
        let event = |session: &str, method: &str, params: Value| json!({"sessionId": session, "method": method, "params": params});
        let asks = |url: &str| event("t", "Network.requestWillBeSent", json!({"request": {"url": url}}));
        assert_eq!(complaint(&asks("file:///a"), "t", "file:///a"), None);
        let said = complaint(&asks("https://b.example/"), "t", "file:///a");
        assert_eq!(said.as_deref(), Some("asks for https://b.example/"));
        assert_eq!(complaint(&asks("https://b.example/"), "u", "file:///a"), None);
        let log = event("t", "Log.entryAdded", json!({"entry": {"text": "refused"}}));
        assert!(complaint(&log, "t", "file:///a").is_some_and(|said| said.contains("refused")));
    }
}
