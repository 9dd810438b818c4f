//! `cargo xtask demo`: Telltale at work, from nothing to a summary.
#![allow(clippy::print_stdout, reason = "a command's output")]

use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::Path;
use std::time::Instant;
use xtask::lab::{Household, HouseholdOptions, TelltaleOptions, packages, play_evening, run_telltale};
use xtask::tool;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Play the evening without Telltale, to see that the household itself works
    #[arg(long)]
    without_telltale: bool,
}

/// Handed to `telltale run --config`: nothing about the traffic, only where what it may know lies.
const CONFIG: &str = "# The demo's configuration: every setting at its default.\n";

/// A name of the evening: the phone sends there what it has to report, so that there is something to explain.
const EXPLAINED: &str = "data.mistat.intl.xiaomi.com";

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    packages::install_missing(|line| println!("{line}"))?;
    if arguments.without_telltale {
        return evening(&household()?);
    }
    println!("building telltale");
    let binary = tool::build_telltale()?;
    let directory = tool::target_directory().join("demo");
    let database = directory.join("demo.db");
    let config = directory.join("telltale.toml");
    begin_afresh(&directory)?;
    fs::write(&config, CONFIG).with_context(|| format!("write {}", config.display()))?;

    let household = household()?;
    let options =
        TelltaleOptions { config: Some(config.clone()), ..TelltaleOptions::new(&binary, &database) };
    let telltale = run_telltale(&household, &options)?;
    println!("telltale counts on the gateway; it knows nothing of what comes");
    evening(&household)?;
    telltale.terminate()?.check()?;
    drop(household);

    let page = directory.join("summary.html");
    let mut html = tool::command(&binary, ["summary", "--all", "--format", "html", "--database"]);
    tool::run(html.arg(&database).arg("--output").arg(&page))?;
    let mut text = tool::command(&binary, ["summary", "--all", "--database"]);
    let summary = tool::run(text.arg(&database))?;
    if summary.trim().is_empty() {
        bail!("the summary is empty");
    }
    println!("\n{summary}");
    let (binary, database) = (shorten(&binary), shorten(&database));
    println!("The same as a page: {}", shorten(&page));
    println!("The database: {database}. Ask it more:");
    println!("  {binary} report --all --database {database}");
    println!("  {binary} top names --database {database}");
    println!("  {binary} flows --database {database}");
    println!("  {binary} devices --database {database}");
    println!("  {binary} who {EXPLAINED} --database {database}");
    println!("  {binary} explain {EXPLAINED} --database {database}");
    println!("To walk through the household yourself: cargo xtask lab");
    Ok(())
}

fn household() -> Result<Household> {
    let begun = Instant::now();
    let xtask = std::env::current_exe().context("find this program")?;
    let household = Household::build(HouseholdOptions::new(xtask))?;
    println!("a household is up after {:.1} s:", begun.elapsed().as_secs_f32());
    for device in household.devices() {
        println!("  {:<14} {:<16} {}", device.spec.hostname, device.addr_v4, device.addr_v6);
    }
    Ok(household)
}

fn evening(household: &Household) -> Result<()> {
    let begun = Instant::now();
    let played = play_evening(household)?;
    let steps: usize = played.iter().map(|p| p.steps).sum();
    println!("an evening of {steps} errands went by in {:.1} s", begun.elapsed().as_secs_f32());
    Ok(())
}

/// An empty directory: the database of an earlier demo would add its evening to this one.
fn begin_afresh(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("remove {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("make the directory {}", directory.display()))
}

/// A path as a person in the workspace would type it.
fn shorten(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let short = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    short.unwrap_or(path).display().to_string()
}
