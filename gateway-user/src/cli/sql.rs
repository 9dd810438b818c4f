//! `telltale sql`: a question in SQL, read-only.

use super::ask::DatabaseArg;
use super::{Outcome, csv};
use crate::store::Reader;
use anyhow::Context;
use gateway_core::report::table::{Align, Paint, Table};
use rusqlite::types::Value;
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
    if args.json {
        let rows: Vec<serde_json::Value> = sheet
            .rows
            .iter()
            .map(|row| sheet.columns.iter().cloned().zip(row.iter().map(json)).collect::<serde_json::Map<_, _>>().into())
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
    } else if args.csv {
        csv::line(out, &sheet.columns)?;
        for row in &sheet.rows {
            csv::line(out, &row.iter().map(text).collect::<Vec<_>>())?;
        }
    } else if !sheet.rows.is_empty() {
        let numbers = |column: usize| {
            sheet.rows.iter().all(|row| matches!(row.get(column), Some(Value::Integer(_) | Value::Real(_))))
        };
        let heads: Vec<_> = sheet
            .columns
            .iter()
            .enumerate()
            .map(|(place, name)| (name.as_str(), if numbers(place) { Align::Right } else { Align::Left }))
            .collect();
        let mut table = Table::new(&heads);
        for row in &sheet.rows {
            table.push(row.iter().map(text).collect());
        }
        out.write_all(table.render(0, None, Paint::Plain).as_bytes())?;
    }
    if sheet.rows.is_empty() {
        eprintln!("telltale: the answer has no rows");
        return Ok(Outcome::Nothing);
    }
    Ok(Outcome::Found)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text.chars().filter(|c| !c.is_control()).collect(),
        Value::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(number) => (*number).into(),
        Value::Real(number) => (*number).into(),
        Value::Text(_) | Value::Blob(_) => text(value).into(),
    }
}
