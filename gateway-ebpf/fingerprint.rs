// Which sources the committed kernel objects were made from. Shared: the build script of gateway-user refuses
// objects that do not fit, `cargo xtask ebpf` writes the record. Needs the crate sha2 and nothing else.
//
// The record, `prebuilt/SOURCES.sha256`, has one line each, as sha256sum prints them, for `sources` and for the
// objects; lines that begin with `#` are for people. `sources` is the SHA-256 of all files of SOURCES, in the order
// of their path names' bytes, each as: path below the workspace with slashes, newline, length in bytes as a decimal
// number, newline, content. Before that, every CR LF in a file becomes LF, so that a checkout with Windows line
// ends says the same.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

/// Files and directories of sources, below the workspace.
pub const SOURCES: [&str; 4] =
    ["gateway-common/Cargo.toml", "gateway-common/src", "gateway-ebpf/Cargo.toml", "gateway-ebpf/src"];
/// Where the objects are, below the workspace.
pub const PREBUILT: &str = "gateway-ebpf/prebuilt";
/// The objects, for little-endian and big-endian machines.
pub const OBJECTS: [&str; 2] = ["telltale.bpfel.o", "telltale.bpfeb.o"];
/// The record's name, beside the objects.
pub const RECORD: &str = "SOURCES.sha256";

/// The lines that the record must have, from the sources and objects as they are.
pub fn lines(workspace: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        collect(workspace, source, &mut files)?;
    }
    files.sort();
    let mut sources = Sha256::new();
    for file in files {
        let content = unix_line_ends(&read(&workspace.join(&file))?);
        sources.update(format!("{file}\n{}\n", content.len()));
        sources.update(content);
    }
    let mut lines = format!("{}  sources\n", hex(sources));
    for object in OBJECTS {
        let digest = Sha256::new().chain_update(read(&workspace.join(PREBUILT).join(object))?);
        lines += &format!("{}  {object}\n", hex(digest));
    }
    Ok(lines)
}

/// Does the record beside the objects fit the sources and objects as they are?
pub fn is_fresh(workspace: &Path) -> io::Result<bool> {
    let record = workspace.join(PREBUILT).join(RECORD);
    let Ok(record) = fs::read_to_string(record) else { return Ok(false) };
    let recorded = record.lines().filter(|line| !line.starts_with('#'));
    Ok(recorded.eq(lines(workspace)?.lines()))
}

fn collect(workspace: &Path, path: &str, files: &mut Vec<String>) -> io::Result<()> {
    if !workspace.join(path).is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(workspace.join(path))? {
        let name = entry?.file_name();
        let name =
            name.to_str().ok_or_else(|| io::Error::other(format!("{path} has a name that is not UTF-8")))?;
        collect(workspace, &format!("{path}/{name}"), files)?;
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|e| io::Error::new(e.kind(), format!("read {}: {e}", path.display())))
}

fn unix_line_ends(content: &[u8]) -> Vec<u8> {
    let next = content.iter().skip(1).chain([&0]);
    content.iter().zip(next).filter(|pair| *pair != (&b'\r', &b'\n')).map(|(byte, _)| *byte).collect()
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
