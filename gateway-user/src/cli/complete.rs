//! `telltale complete`: what the shells' completions ask while somebody types. Hidden from the help.

use super::Outcome;
use super::ask::{DatabaseArg, name_tables};
use crate::config::{Config, ConfigFlags};
use crate::store::Reader;
use gateway_core::report::table::clean;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

/// Prints what a word may go on with, one per line. Whatever is wrong, it prints nothing: somebody is typing.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub struct Args {
    /// Of what.
    #[arg(value_enum)]
    what: What,
    /// What was typed so far.
    #[arg(default_value = "", allow_hyphen_values = true)]
    typed: String,
    #[command(flatten)]
    database: DatabaseArg,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    Devices,
    Owners,
}

/// Runs the command.
///
/// # Errors
/// If the output cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let found = args.database.path().and_then(|path| match args.what {
        What::Devices => devices(&path),
        What::Owners => owners(&path),
    });
    let typed = args.typed.to_lowercase();
    // What cannot be printed as it is cannot be typed either.
    let fits = |text: &&String| text.to_lowercase().starts_with(&typed) && clean(text) == **text;
    for text in found.unwrap_or_default().iter().filter(fits) {
        writeln!(out, "{text}")?;
    }
    Ok(Outcome::Found)
}

/// Labels and hostnames; of a device that has neither, its address.
fn devices(database: &Path) -> anyhow::Result<BTreeSet<String>> {
    let Some(reader) = Reader::open(database)? else { return Ok(BTreeSet::new()) };
    let mut found = BTreeSet::new();
    for device in reader.devices()? {
        match (device.label, device.hostname) {
            (None, None) => found.insert(device.mac.to_string()),
            (label, hostname) => found.insert(label.or(hostname).unwrap_or_default()),
        };
    }
    Ok(found)
}

/// All that the tables know.
fn owners(database: &Path) -> anyhow::Result<BTreeSet<String>> {
    let tables = name_tables(&Config::load(&ConfigFlags::default())?, database)?;
    Ok(tables.owners().owners().map(|owner| owner.name.to_string()).collect())
}

/// What is added to a generated script, so that it asks this program for devices and owners.
#[must_use]
pub fn asking(shell: clap_complete::Shell, script: &str) -> String {
    match shell {
        clap_complete::Shell::Bash => format!("{script}{BASH}"),
        clap_complete::Shell::Fish => format!("{script}{FISH}"),
        clap_complete::Shell::Zsh => {
            let script = script
                .replace(":DEVICE:_default'", ":DEVICE:_telltale_known devices'")
                .replace(":OWNER:_default'", ":OWNER:_telltale_known owners'");
            script.replacen("if [ \"$funcstack[1]\"", &format!("{ZSH}if [ \"$funcstack[1]\""), 1)
        }
        _ => script.to_owned(),
    }
}

/// `--device=Red` is three words to bash. A word in quotes is completed as it is, any other with what it needs quoted.
const BASH: &str = r#"
_telltale_known() {
    local typed="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" what="" line
    if [[ "$typed" == "=" ]]; then
        typed=""
    elif [[ "$before" == "=" ]]; then
        before="${COMP_WORDS[COMP_CWORD-2]}"
    fi
    case "$before" in
        --device) what=devices ;;
        --owner) what=owners ;;
        show|label) [[ "${COMP_WORDS[COMP_CWORD-2]}" == devices ]] && what=devices ;;
    esac
    if [[ "${COMP_WORDS[1]}" == compare && "$typed" != -* && " ${COMP_WORDS[*]} " == *" --devices "* ]]; then
        case "$before" in
            --devices) what=devices ;;
            --*) ;;
            *) [[ -z "$what" ]] && what=devices ;;
        esac
    fi
    if [[ -z "$what" ]]; then
        _telltale "$@"
        return
    fi
    local quote=""
    case "$typed" in
        \"*|\'*) quote="${typed:0:1}"; typed="${typed:1}" ;;
        *) typed="${typed//\\/}" ;;
    esac
    COMPREPLY=()
    while IFS= read -r line; do
        [[ -z "$quote" ]] && printf -v line '%q' "$line"
        COMPREPLY+=("$line")
    done < <("${COMP_WORDS[0]}" complete "$what" -- "$typed" 2>/dev/null)
}
complete -F _telltale_known -o bashdefault -o default telltale
"#;

const FISH: &str = r"
complete -c telltale -l device -x -a '(telltale complete devices 2>/dev/null)'
complete -c telltale -l owner -x -a '(telltale complete owners 2>/dev/null)'
";

const ZSH: &str = r#"_telltale_known() {
    local -a found
    found=("${(@f)$(telltale complete "$1" 2>/dev/null)}")
    compadd -M 'm:{a-zA-Z}={A-Za-z}' -a found
}

"#;
