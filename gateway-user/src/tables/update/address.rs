//! URLs as far as an update needs them: what may be fetched, what may be shown, where a redirect leads, which month.

use jiff::civil::Date;

/// Stands for the month of the table.
const MONTH: &str = "{YYYY-MM}";

/// How a URL is fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scheme {
    Https,
    Http,
    File,
}

/// Why a URL is not fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum BadUrl {
    #[error("this is not a URL that begins with https:// or file:/")]
    Unknown,
    #[error("this is not HTTPS: anybody on the way could change the table; --allow-http takes that risk")]
    Plain,
    #[cfg(feature = "https")]
    #[error("the server leads to a page that is not HTTPS: refused")]
    Downgrade,
}

/// The scheme of a URL that may be fetched.
pub(super) fn scheme_of(url: &str, allows_http: bool) -> Result<Scheme, BadUrl> {
    let starts = |scheme: &str| url.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    if starts("https://") {
        Ok(Scheme::Https)
    } else if starts("file:/") {
        Ok(Scheme::File)
    } else if starts("http://") {
        if allows_http { Ok(Scheme::Http) } else { Err(BadUrl::Plain) }
    } else {
        Err(BadUrl::Unknown)
    }
}

/// A URL without what may be a secret: people put keys into the query or before the host.
pub(super) fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return printable(url) };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    printable(&format!("{scheme}://{host}{path}"))
}

/// A server's words must not steer a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The path of a `file:` URL (RFC 8089), without percent signs undone.
pub(super) fn path_of(url: &str) -> &str {
    let path = url.get("file:".len()..).unwrap_or_default();
    path.strip_prefix("//").map_or(path, |rest| rest.strip_prefix("localhost").unwrap_or(rest))
}

/// The URLs to try: for a monthly file this month's, then the one before.
pub(super) fn candidates(url: &str, today: Date) -> Vec<String> {
    if !url.contains(MONTH) {
        return vec![url.to_owned()];
    }
    let before = today.first_of_month().yesterday().unwrap_or(today);
    [today, before].map(|date| url.replace(MONTH, &date.strftime("%Y-%m").to_string())).into()
}

/// Where a `Location` (RFC 9110 §10.2.2) leads, seen from `base`. HTTPS is never left.
#[cfg(feature = "https")]
pub(super) fn redirected(base: &str, location: &str, allows_http: bool) -> Result<String, BadUrl> {
    let (scheme, rest) = base.split_once("://").unwrap_or(("https", base));
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let url = if location.contains("://") {
        location.to_owned()
    } else if let Some(rest) = location.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if location.starts_with('/') {
        format!("{scheme}://{host}{location}")
    } else {
        let page = rest.split('?').next().unwrap_or_default();
        let folder = page.rsplit_once('/').map_or(host, |(folder, _)| folder);
        format!("{scheme}://{folder}/{location}")
    };
    match (scheme_of(base, true)?, scheme_of(&url, true)) {
        (_, Ok(Scheme::Https)) => Ok(url),
        (Scheme::Http, Ok(Scheme::Http)) if allows_http => Ok(url),
        _ => Err(BadUrl::Downgrade),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    #[test]
    fn only_https_and_files_are_fetched() {
        assert_eq!(scheme_of("https://a.example/t", false), Ok(Scheme::Https));
        assert_eq!(scheme_of("HTTPS://a.example/t", false), Ok(Scheme::Https));
        assert_eq!(scheme_of("file:///t", false), Ok(Scheme::File));
        assert_eq!(scheme_of("http://a.example/t", true), Ok(Scheme::Http));
        assert_eq!(scheme_of("http://a.example/t", false), Err(BadUrl::Plain));
        for url in ["", "ftp://a.example", "a.example/t", "https:/a.example", "é"] {
            assert_eq!(scheme_of(url, true), Err(BadUrl::Unknown), "{url}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(shown("https://me:pw@a.example/t?license_key=k#f"), "https://a.example/t");
        assert_eq!(shown("https://a.example/a@b"), "https://a.example/a@b");
        assert_eq!(shown("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
    }

    #[test]
    fn a_monthly_file_is_also_looked_for_in_the_month_before() {
        let today: Date = "2027-01-31".parse().unwrap();
        assert_eq!(
            candidates("https://a/x-{YYYY-MM}.gz", today),
            ["https://a/x-2027-01.gz", "https://a/x-2026-12.gz"]
        );
        assert_eq!(candidates("https://a/x", today), ["https://a/x"]);
    }

    #[cfg(feature = "https")]
    #[test]
    fn a_redirect_never_leaves_https() {
        let base = "https://a.example/d/t?x=/";
        for (location, url) in [
            ("https://b.example/u", "https://b.example/u"),
            ("//b.example/u", "https://b.example/u"),
            ("/u", "https://a.example/u"),
            ("u?v", "https://a.example/d/u?v"),
        ] {
            assert_eq!(redirected(base, location, true).unwrap(), url);
        }
        assert_eq!(redirected("https://a.example", "u", false).unwrap(), "https://a.example/u");
        for location in ["http://a.example/", "file:///etc/shadow", "ftp://a.example", "://"] {
            let error = redirected(base, location, true).unwrap_err();
            assert_eq!(error, BadUrl::Downgrade, "{location}");
        }
        assert!(redirected("http://a.example/", "http://b.example/", true).is_ok());
        assert!(redirected("http://a.example/", "http://b.example/", false).is_err());
    }

    #[test]
    fn a_file_has_a_path() {
        for url in ["file:/a/b", "file:///a/b", "file://localhost/a/b"] {
            assert_eq!(path_of(url), "/a/b");
        }
    }
}
