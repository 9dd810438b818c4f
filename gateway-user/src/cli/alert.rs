//! `--alert`: for cron. Says nothing unless an amount was passed, and tells by the exit code.

use super::Outcome;
use super::ask::{Asked, Picked, say};
use gateway_core::query::language::{Condition, Question};
use gateway_core::report::amount::{bytes, duration};
use gateway_core::report::table::clean;
use gateway_core::report::text::Look;
use gateway_core::units::Volume;
use std::io::Write;

/// When to ring.
#[derive(Debug, Default, clap::Args)]
pub struct AlertArgs {
    /// Instead of the usual output: exit with 3, and print a line for each that does, if any passes this: 'up > 1GB'.
    #[arg(long, value_name = "AMOUNT", value_parser = alert)]
    pub alert: Option<Alert>,
}

/// A condition on amounts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alert {
    text: String,
    question: Question,
}

fn alert(text: &str) -> Result<Alert, String> {
    let question = Question::parse(text).map_err(|mistake| mistake.shown(text))?;
    let is_of_amounts_alone = question.rows == Condition::default() && question.night.is_none();
    if !question.asks_of_lines() || !is_of_amounts_alone {
        return Err(
            "an alert is of amounts alone, such as 'up > 1GB'; --where chooses what is counted".to_owned()
        );
    }
    Ok(Alert { text: text.trim().to_owned(), question })
}

/// What is held against an alert: a line of a ranking, or a device of a report.
pub struct Line {
    /// What it is.
    pub said: String,
    /// How much.
    pub volume: Volume,
    /// How many conversations.
    pub conversations: u64,
}

impl Alert {
    /// Prints the lines that pass. Where nothing was measured, or the device is not known, nothing can pass: that is said
    /// instead. Where some of the range was not measured and nothing passes, that is said too.
    ///
    /// # Errors
    /// If the database cannot be read or the output not written.
    pub fn ring(
        &self,
        asked: &Asked,
        picked: &Picked,
        lines: &[Line],
        look: &Look<'_>,
        out: &mut dyn Write,
    ) -> anyhow::Result<Outcome> {
        if lines.is_empty() && (asked.reader.counted(asked.range)?.is_empty() || asked.is_unknown(picked)?) {
            say(&clean(&asked.why_not(picked, false, look)?));
            return Ok(Outcome::Nothing);
        }
        let passed: Vec<_> =
            lines.iter().filter(|line| self.question.keeps(line.volume, line.conversations)).collect();
        let span = look.span(asked.range);
        for Line { said, volume, conversations } in &passed {
            let (up, down) = (bytes(volume.up_bytes, look.is_exact), bytes(volume.down_bytes, look.is_exact));
            writeln!(
                out,
                "{}: {up} up, {down} down, {} packets, {conversations} conversations from {span}: {}",
                clean(said),
                volume.packets(),
                clean(&self.text)
            )?;
        }
        if !passed.is_empty() {
            return Ok(Outcome::Passed);
        }
        let missing: u64 = asked.coverage()?.holes.iter().map(|hole| hole.len_ns()).sum();
        if missing > 0 {
            say(&format!(
                "nothing passes {}, but {} of {span} were not measured",
                clean(&self.text),
                duration(missing)
            ));
        }
        Ok(Outcome::Found)
    }
}
