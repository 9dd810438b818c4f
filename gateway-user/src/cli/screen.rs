//! What the output can show: its width, and whether bold means anything there. Where it is no terminal, nothing is
//! cut and nothing is painted.

use super::{Outcome, ask, when};
use gateway_core::report::table::Paint;
use gateway_core::report::text::Look;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::{Command, Stdio};

/// How amounts and lines are to look.
#[derive(Debug, Default, clap::Args)]
pub struct ScreenArgs {
    /// Print bytes to the last digit instead of kB and MB.
    #[arg(long)]
    bytes: bool,
    /// Text alone: nothing bold, nothing cut to the width of the terminal, no pager.
    #[arg(long)]
    plain: bool,
    /// Do not page through an answer that is longer than the screen.
    #[arg(long)]
    no_pager: bool,
}

/// The pager where neither TELLTALE_PAGER nor PAGER says another: shows what fits at once, and passes bold through.
const PAGER: &str = "less -FRX";

impl ScreenArgs {
    /// The look of standard output.
    #[must_use]
    pub fn look(&self, max_destinations: usize) -> Look<'static> {
        Look {
            width: size().map(|(width, _)| width).filter(|_| !self.plain),
            paint: if wants_paint() && !self.plain { Paint::Ansi } else { Paint::Plain },
            is_exact: self.bytes,
            max_destinations,
            offset_of: &when::offset_of,
        }
    }

    /// Answers as [`ask::answer`] does, and pages through what is longer than the screen.
    ///
    /// # Errors
    /// What `render` fails with, or if the output cannot be written.
    pub fn answer<T>(
        &self,
        source: T,
        out: &mut dyn Write,
        render: impl FnOnce(&T, &mut Vec<u8>) -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<Outcome> {
        let mut page = Vec::new();
        let outcome = ask::answer(source, &mut page, render)?;
        self.show(&page, out)?;
        Ok(outcome)
    }

    /// Prints a page; through the pager if it is longer than the screen.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn show(&self, page: &[u8], out: &mut dyn Write) -> anyhow::Result<()> {
        let lines = page.iter().filter(|byte| **byte == b'\n').count();
        let is_long = size().is_some_and(|(_, height)| lines >= height);
        let pager = pager(|name| std::env::var(name).ok());
        match pager.filter(|_| is_long && !self.plain && !self.no_pager) {
            Some(pager) if through(&pager, page)? => {}
            _ => out.write_all(page)?,
        }
        Ok(())
    }
}

/// The pager's command; `None` if none is wanted.
fn pager(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let command =
        variable("TELLTALE_PAGER").or_else(|| variable("PAGER")).unwrap_or_else(|| PAGER.to_owned());
    let command = command.trim();
    (!command.is_empty() && command != "cat").then(|| command.to_owned())
}

/// Pipes a page through a pager; false if there is no such program.
fn through(pager: &str, page: &[u8]) -> anyhow::Result<bool> {
    /// What a shell says of a command that it does not find.
    const NOT_FOUND: i32 = 127;
    let mut command = Command::new("sh");
    command.arg("-c").arg(pager).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", "FRX");
    }
    let Ok(mut child) = command.spawn() else { return Ok(false) };
    let written = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(page));
    let status = child.wait()?;
    match written {
        // Whoever leaves the pager has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(status.code() != Some(NOT_FOUND)),
    }
}

/// Cells of the terminal's line, and its lines, if standard output is one.
fn size() -> Option<(usize, usize)> {
    let (width, height) = terminal_size::terminal_size_of(std::io::stdout())?;
    (width.0 > 0 && height.0 > 0).then_some((width.0.into(), height.0.into()))
}

/// Bold and faint are for terminals that know them, and not where NO_COLOR (no-color.org) is set.
fn wants_paint() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pager_is_the_users_choice() {
        let chosen = |own: Option<&str>, common: Option<&str>| {
            pager(|name| if name == "PAGER" { common } else { own }.map(str::to_owned))
        };
        assert_eq!(chosen(None, None).as_deref(), Some("less -FRX"));
        assert_eq!(chosen(None, Some("more")).as_deref(), Some("more"));
        assert_eq!(chosen(Some("most"), Some("more")).as_deref(), Some("most"));
        assert_eq!([chosen(Some(""), Some("more")), chosen(None, Some("cat"))], [None, None]);
    }
}
