//! Passwords, tokens and keys: read when they are needed, from a file or the environment, and never printed.

use super::Failure;
use crate::config::deliver::SecretPlace;
use std::os::unix::fs::PermissionsExt;

/// A file that is longer is not a password.
const MAX_SECRET_LEN: u64 = 4096;

/// A secret. It has no `Debug`, so that no log can have it by accident.
pub(super) struct Secret(String);

impl Secret {
    /// Reads it. The end of its line is none of it.
    pub(super) fn read(place: &SecretPlace) -> Result<Self, Failure> {
        let text = match place {
            SecretPlace::Env(name) => std::env::var(name)
                .map_err(|_| Failure::refused(format!("the variable {name} is not set, or is not text")))?,
            SecretPlace::File(path) => {
                let shown = path.display();
                let bad = |error| Failure::refused(format!("read the secret {shown}: {error}"));
                let metadata = std::fs::metadata(path).map_err(bad)?;
                let mode = metadata.permissions().mode();
                if mode & 0o007 != 0 {
                    return Err(Failure::refused(format!(
                        "everybody on this machine can read {shown}: chmod 600 {shown}"
                    )));
                }
                if !metadata.is_file() || metadata.len() > MAX_SECRET_LEN {
                    return Err(Failure::refused(format!("{shown} is not a file with one line")));
                }
                std::fs::read_to_string(path).map_err(bad)?
            }
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() || text.contains(char::is_control) {
            let at = match place {
                SecretPlace::Env(name) => format!("the variable {name}"),
                SecretPlace::File(path) => path.display().to_string(),
            };
            return Err(Failure::refused(format!("{at} is not one line with a secret in it")));
        }
        Ok(Self(text.to_owned()))
    }

    /// The secret itself, for the wire.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;
    use std::fs::Permissions;
    use std::path::Path;

    fn read(path: &Path) -> Result<String, String> {
        Secret::read(&SecretPlace::File(path.to_owned()))
            .map(|secret| secret.reveal().to_owned())
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_secret_is_one_line_that_not_everybody_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        assert!(read(&path).unwrap_err().starts_with("read the secret"));
        std::fs::write(&path, " pass word \r\n").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.contains("chmod 600") && !error.contains("pass word"), "{error}");
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read(&path).unwrap(), " pass word ");
        for text in ["", "\n", "one\ntwo"] {
            std::fs::write(&path, text).unwrap();
            assert!(read(&path).unwrap_err().contains("is not one line"), "{text:?}");
        }
        assert!(read(dir.path()).is_err());
    }

    #[test]
    fn a_variable_has_to_be_set() {
        let failure = Secret::read(&SecretPlace::Env("TELLTALE_NO_SUCH_VARIABLE".to_owned())).err().unwrap();
        assert!(failure.to_string().contains("TELLTALE_NO_SUCH_VARIABLE is not set"));
    }
}
