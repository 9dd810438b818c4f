//! `telltale sql`: a question in SQL, read-only.

use super::ask::{DatabaseArg, say};
use super::{Outcome, csv};
use crate::store::{Cell, Reader, Sheet};
use anyhow::Context;
use std::io::Write;

/// Asks the database in SQL. It can change nothing; docs/schema.md has the tables and views.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  telltale sql 'SELECT day, device, sum(up_bytes) AS up FROM v_day GROUP BY 1, 2 ORDER BY 1, 2'
  telltale sql 'SELECT * FROM v_flow WHERE country = \"RU\" ORDER BY up_bytes DESC LIMIT 20' --csv
  telltale sql 'SELECT counter, sum(bytes) FROM ledger GROUP BY 1' --json

Views: v_flow (rows in words), v_day (the same by local day), v_device.")]
pub struct Args {
    /// One SELECT.
    #[arg(value_name = "SQL")]
    question: String,
    #[command(flatten)]
    database: DatabaseArg,
    /// Print JSON: a list of objects.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values.
    #[arg(long)]
    csv: bool,
}

/// Runs the command.
///
/// # Errors
/// If the database cannot be read or SQLite does not understand the question.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let path = args.database.path()?;
    let reader = Reader::open(&path)?
        .with_context(|| format!("find a database at {}: `telltale run` makes it", path.display()))?;
    let sheet = reader.ask(&args.question)?;
    write(args, &sheet, out)?;
    if sheet.rows.is_empty() {
        say("the answer has no rows");
        return Ok(Outcome::Nothing);
    }
    Ok(Outcome::Found)
}

fn write(args: &Args, sheet: &Sheet, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.json {
        let rows: Vec<serde_json::Value> = sheet
            .rows
            .iter()
            .map(|row| {
                sheet
                    .columns
                    .iter()
                    .cloned()
                    .zip(row.iter().map(json))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            })
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
    } else if args.csv {
        csv::line(out, &sheet.columns)?;
        for row in &sheet.rows {
            csv::line(out, &row.iter().map(text).collect::<Vec<_>>())?;
        }
    } else if !sheet.rows.is_empty() {
        let rows: Vec<Vec<String>> = sheet.rows.iter().map(|row| row.iter().map(text).collect()).collect();
        let lines = || core::iter::once(&sheet.columns).chain(&rows);
        let width = |place: usize| {
            lines().filter_map(|row| row.get(place)).map(|cell: &String| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..sheet.columns.len()).map(|place| width(place).unwrap_or(0)).collect();
        for row in lines() {
            let line: Vec<_> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            writeln!(out, "{}", line.join("  ").trim_end())?;
        }
    }
    Ok(())
}

fn text(value: &Cell) -> String {
    match value {
        Cell::Null => String::new(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => text.chars().filter(|c| !c.is_control()).collect(),
        Cell::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn json(value: &Cell) -> serde_json::Value {
    match value {
        Cell::Null => serde_json::Value::Null,
        Cell::Integer(number) => (*number).into(),
        Cell::Real(number) => (*number).into(),
        Cell::Text(_) | Cell::Blob(_) => text(value).into(),
    }
}
