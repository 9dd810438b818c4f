//! What the output can show: its width, and whether bold means anything there. Where it is no terminal, nothing is
//! cut and nothing is painted.

use super::when;
use gateway_core::report::table::Paint;
use gateway_core::report::text::Look;
use std::io::IsTerminal;

/// How amounts and lines are to look.
#[derive(Debug, Default, clap::Args)]
pub struct ScreenArgs {
    /// Print bytes to the last digit instead of kB and MB.
    #[arg(long)]
    bytes: bool,
}

impl ScreenArgs {
    /// The look of standard output.
    #[must_use]
    pub fn look(&self, max_destinations: usize) -> Look<'static> {
        Look {
            width: width(),
            paint: if wants_paint() { Paint::Ansi } else { Paint::Plain },
            is_exact: self.bytes,
            max_destinations,
            offset_of: &when::offset_of,
        }
    }
}

/// Cells of the terminal's line, if standard output is one.
fn width() -> Option<usize> {
    let (terminal_size::Width(width), _) = terminal_size::terminal_size_of(std::io::stdout())?;
    (width > 0).then_some(usize::from(width))
}

/// Bold and faint are for terminals that know them, and not where NO_COLOR (no-color.org) is set.
fn wants_paint() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}
