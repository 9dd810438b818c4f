//! Running other programs and saying clearly what went wrong with them.

use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A command from a program's name and its arguments.
pub fn command<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// Runs a program to its end and returns what it printed on standard output.
///
/// # Errors
/// If it cannot be started or fails; the message carries its standard error.
pub fn run(command: &mut Command) -> Result<String> {
    finish(command, |command| command.stdin(Stdio::null()).output())
}

/// Like [`run`], with `input` on its standard input.
///
/// # Errors
/// As [`run`].
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Result<String> {
    finish(command, |command| {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        // On a thread of its own, so that a program which answers while it reads cannot stall both.
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // A program that stops reading tells why by its exit status.
                let _ = stdin.map(|mut stdin| stdin.write_all(input));
            });
            child.wait_with_output()
        })
    })
}

fn finish(
    command: &mut Command,
    start: impl FnOnce(&mut Command) -> std::io::Result<Output>,
) -> Result<String> {
    let shown = shown(command);
    let output = start(command).with_context(|| format!("start {shown}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = if said.trim().is_empty() { String::from_utf8_lossy(&output.stdout) } else { said };
        bail!("{shown}: {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as a person would type it.
#[must_use]
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Where a program is, looking also where Debian keeps programs for the administrator.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// The root of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Where cargo puts what it builds.
#[must_use]
pub fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Builds the binary `telltale` under the profile `lab` and returns its path.
///
/// # Errors
/// If it does not build.
pub fn build_telltale() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = command(cargo, ["build", "--quiet", "--package", "gateway-user", "--profile", "lab"]);
    // Its warnings and errors are the user's to read, as they come.
    let status = build.current_dir(workspace()).status().context("start cargo")?;
    if !status.success() {
        bail!("telltale does not build: see cargo's message above");
    }
    Ok(target_directory().join("lab/telltale"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_the_program_said() {
        let error = run(&mut command("sh", ["-c", "echo the reason >&2; exit 3"])).expect_err("it failed");
        let text = format!("{error:#}");
        assert!(text.contains("the reason") && text.contains('3'), "{text}");
        let error = run(&mut Command::new("no-such-program-anywhere")).expect_err("it is not there");
        assert!(format!("{error:#}").contains("start no-such-program-anywhere"), "{error:#}");
    }

    #[test]
    fn input_larger_than_a_pipe_goes_through() {
        let input = vec![b'x'; 1 << 20];
        let output = run_with_input(&mut Command::new("cat"), &input).expect("cat");
        assert_eq!(output.len(), input.len());
    }

    #[test]
    fn programs_are_found_or_not() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
