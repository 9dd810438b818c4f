//! One file from its source to the disk: bounded, resumed where it was cut, tried again where that may help.

use super::address::{Scheme, path_of, scheme_of};
#[cfg(feature = "https")]
use super::https::{self, Https};
use super::part::Part;
use super::place::Place;
use super::program::Program;
use super::progress::Progress;
use crate::config::UpdateConfig;
use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

/// The wait before the second attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const CHUNK_LEN: usize = 64 * 1024;
/// What stays free on the disk besides the table: the database needs room too.
const SPARED_BYTES: u64 = 1 << 20;

/// What a server says by which a file's version is known (RFC 9110 §8.8).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Validators {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_modified: Option<String>,
}

impl Validators {
    /// What `If-Range` may say (RFC 9110 §13.1.5): a weak tag is not enough to join two halves.
    pub(super) fn for_range(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|etag| !etag.starts_with("W/"));
        strong.or(self.last_modified.as_deref())
    }
}

/// What to ask for.
#[cfg_attr(not(feature = "https"), expect(dead_code, reason = "a program knows no parts and no versions"))]
pub(super) struct Request<'a> {
    pub(super) url: &'a str,
    /// The kind of answer that is wanted (RFC 9110 §12.5.1); `None` for any.
    pub(super) accept: Option<&'static str>,
    /// The version we have: then the answer may be that it is still the one.
    pub(super) known: Option<&'a Validators>,
    /// The part we have: then only the rest is asked for.
    pub(super) rest: Option<Rest>,
}

/// From where on, and of which version.
#[cfg_attr(not(feature = "https"), expect(dead_code, reason = "a program knows no parts and no versions"))]
pub(super) struct Rest {
    pub(super) from: u64,
    pub(super) if_range: String,
}

/// What a source answers.
#[cfg_attr(not(feature = "https"), expect(dead_code, reason = "a program knows no parts and no versions"))]
pub(super) enum Answer {
    /// What we have is what there is.
    NotModified,
    /// There is no such file.
    Missing,
    /// The part we hold is of no use.
    StartAgain,
    /// Here it comes.
    Body(Incoming),
}

/// A body that begins.
pub(super) struct Incoming {
    /// The place in the file where it begins.
    pub(super) from: u64,
    /// The length of the whole file.
    pub(super) total: Option<u64>,
    pub(super) validators: Validators,
    pub(super) reader: Box<dyn Read>,
}

/// Why an attempt came to nothing.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: anyhow::Error,
    /// Another attempt may come to something.
    pub(crate) is_transient: bool,
}

impl Failure {
    pub(super) fn transient(error: impl Into<anyhow::Error>) -> Self {
        Self { error: error.into(), is_transient: true }
    }

    pub(super) fn permanent(error: impl Into<anyhow::Error>) -> Self {
        Self { error: error.into(), is_transient: false }
    }
}

/// How files are fetched.
pub(super) struct Fetcher {
    #[cfg(feature = "https")]
    https: Https,
    program: Option<Program>,
    allows_http: bool,
    retries: u32,
}

/// A file that has come whole, or why not.
pub(super) enum Fetched {
    NotModified,
    Missing,
    /// It is in the [`Part`].
    Whole(Validators),
}

impl Fetcher {
    pub(super) fn new(config: &UpdateConfig, allows_http: bool) -> anyhow::Result<Self> {
        Ok(Self {
            #[cfg(feature = "https")]
            https: Https::new(config, allows_http)?,
            program: Program::new(config),
            allows_http,
            retries: config.retries,
        })
    }

    /// Fetches a file of at most `limit` bytes into `part`.
    pub(super) fn fetch(
        &self,
        url: &str,
        known: Option<&Validators>,
        part: &Part,
        limit: u64,
        place: &Place,
    ) -> anyhow::Result<Fetched> {
        let mut pause = FIRST_PAUSE;
        for left in (0..=self.retries).rev() {
            match self.attempt(url, known, part, limit, place) {
                Ok(fetched) => return Ok(fetched),
                Err(Failure { is_transient: true, .. }) if left > 0 => std::thread::sleep(pause),
                Err(Failure { error, .. }) => return Err(error),
            }
            pause = pause.saturating_mul(2);
        }
        // The last round returns.
        Err(anyhow!("no attempt was made"))
    }

    /// Is there something newer? Nothing of it is fetched.
    pub(super) fn is_there(&self, url: &str, known: Option<&Validators>) -> anyhow::Result<Answer> {
        self.open(&Request { url, accept: None, known, rest: None }).map_err(|failure| failure.error)
    }

    /// A short answer of at most `limit` bytes; `None` where there is none.
    pub(super) fn bytes(
        &self,
        url: &str,
        accept: Option<&'static str>,
        limit: u64,
    ) -> anyhow::Result<Option<Vec<u8>>> {
        let request = Request { url, accept, known: None, rest: None };
        let reader = match self.open(&request).map_err(|failure| failure.error)? {
            Answer::Body(Incoming { reader, .. }) => reader,
            Answer::Missing => return Ok(None),
            Answer::NotModified | Answer::StartAgain => return Err(anyhow!("the server sends a part")),
        };
        let mut bytes = Vec::new();
        reader
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| read_failure(error).error)?;
        if bytes.len() as u64 > limit {
            return Err(anyhow!("the answer is longer than the {limit} bytes that are allowed"));
        }
        Ok(Some(bytes))
    }

    /// A few bytes of text.
    pub(super) fn text(&self, url: &str, limit: u64) -> anyhow::Result<String> {
        let bytes = self.bytes(url, None, limit)?.ok_or_else(|| anyhow!("there is no such file"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn attempt(
        &self,
        url: &str,
        known: Option<&Validators>,
        part: &Part,
        limit: u64,
        place: &Place,
    ) -> Result<Fetched, Failure> {
        let rest = part.rest(url);
        let is_rest = rest.is_some();
        let mut incoming = match self.open(&Request { url, accept: None, known, rest })? {
            Answer::NotModified => return Ok(Fetched::NotModified),
            Answer::Missing => return Ok(Fetched::Missing),
            Answer::Body(incoming) => incoming,
            Answer::StartAgain if is_rest => {
                part.remove().map_err(Failure::permanent)?;
                return self.attempt(url, known, part, limit, place);
            }
            Answer::StartAgain => {
                return Err(Failure::permanent(anyhow!("the server sends a part of the file")));
            }
        };
        let too_large =
            || Failure::permanent(anyhow!("the file is larger than the {limit} bytes that are allowed"));
        if let Some(total) = incoming.total {
            if total > limit {
                return Err(too_large());
            }
            let needed = total.saturating_sub(incoming.from).saturating_add(SPARED_BYTES);
            if let Some(free) = place.free_bytes().filter(|free| *free < needed) {
                let shown = place.path().display();
                return Err(Failure::permanent(anyhow!(
                    "the disk is full: {needed} bytes are needed in {shown} and {free} are free"
                )));
            }
        }
        let mut file = part.begin(url, incoming.from, &incoming.validators).map_err(Failure::permanent)?;
        let outcome = copy(&mut incoming, &mut file, limit, too_large);
        if let Err(Failure { is_transient: false, .. }) = &outcome {
            // Nothing of it will be asked for again; on a full disk every byte counts.
            let _ = part.remove();
        }
        outcome?;
        Ok(Fetched::Whole(incoming.validators))
    }

    fn open(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        match scheme_of(request.url, self.allows_http).map_err(Failure::permanent)? {
            Scheme::File => open_file(path_of(request.url)),
            Scheme::Https | Scheme::Http => match &self.program {
                Some(program) => program.open(request),
                None => self.open_url(request),
            },
        }
    }

    #[cfg(feature = "https")]
    fn open_url(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        if !crate::clock::now().is_ok_and(|now| crate::clock::is_set(now.wall)) {
            return Err(Failure::permanent(anyhow!(
                "the clock of this machine was never set, and no certificate is valid at its time: set it first"
            )));
        }
        self.https.open(request)
    }

    #[cfg(not(feature = "https"))]
    fn open_url(&self, _request: &Request<'_>) -> Result<Answer, Failure> {
        Err(Failure::permanent(anyhow!(
            "this build fetches nothing by itself: name a program that does, with fetch_cmd in the section [update] \
             (`telltale update` also takes --fetch-cmd, and a file with --from)"
        )))
    }
}

fn open_file(path: &str) -> Result<Answer, Failure> {
    let open = || -> io::Result<(File, u64)> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok((file, len))
    };
    match open() {
        Ok((file, len)) => Ok(Answer::Body(Incoming {
            from: 0,
            total: Some(len),
            validators: Validators::default(),
            reader: Box::new(file),
        })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Answer::Missing),
        Err(error) => Err(Failure::permanent(error)),
    }
}

fn copy(
    incoming: &mut Incoming,
    file: &mut File,
    limit: u64,
    too_large: impl Fn() -> Failure,
) -> Result<(), Failure> {
    let mut progress = Progress::new(incoming.total);
    let mut at = incoming.from;
    let mut chunk = vec![0; CHUNK_LEN];
    loop {
        let len = match incoming.reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(read_failure(error)),
        };
        at = at.saturating_add(len as u64);
        if at > limit {
            return Err(too_large());
        }
        file.write_all(chunk.get(..len).unwrap_or_default()).map_err(write_failure)?;
        progress.show(at);
    }
    file.sync_all().map_err(write_failure)?;
    match incoming.total {
        Some(total) if at < total => {
            Err(Failure::transient(anyhow!("the connection was closed after {at} of {total} bytes")))
        }
        _ => Ok(()),
    }
}

fn read_failure(error: io::Error) -> Failure {
    #[cfg(feature = "https")]
    return https::failure(error.into());
    #[cfg(not(feature = "https"))]
    Failure::transient(error)
}

fn write_failure(error: io::Error) -> Failure {
    Failure::permanent(write_error(error))
}

/// Words for a write that failed.
pub(super) fn write_error(error: io::Error) -> anyhow::Error {
    let words = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => "the disk is full",
        _ => "write the table to the disk",
    };
    anyhow::Error::new(error).context(words)
}
