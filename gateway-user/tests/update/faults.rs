//! What a server can do wrong. After each the old table is in force, and one line says what it was.

use crate::house::{House, NETWORKS, date, later};
use crate::server::{Proxy, Reply, Server, Then, honest};
use gateway_core::enrich::envelope::{TableDate, TableKind, seal};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use sha2::{Digest, Sha256};

/// A house in which a table is in force, and a server that does this.
fn house_with(
    answer: impl Fn(&crate::server::Asked, usize) -> Reply + Send + Sync + 'static,
) -> (House, Server) {
    let server = Server::start(answer);
    let house = House::new(&server.ca, &server.url("/t"));
    house.put(NETWORKS, &later(1));
    (house, server)
}

#[test]
fn a_cut_download_goes_on_where_it_stopped() {
    let new = later(2);
    let served = new.clone();
    let (house, server) = house_with(move |asked, number| match number {
        0 => honest(&served, "\"one\"", asked).stopping_at(served.len() / 3, Then::Cut),
        1 => honest(&served, "\"one\"", asked).stopping_at(served.len() / 3, Then::Close),
        _ => honest(&served, "\"one\"", asked),
    });
    // In this run nothing is tried twice: what came is kept for the next.
    house.check_refused(&[], "closed");
    let part = std::fs::metadata(house.tables().join("networks-0.part")).unwrap().len();
    assert!(part > 0 && part <= new.len() as u64 / 3);
    // In this run it is.
    house.configure(&format!("retries = 1\nnetworks = [{:?}]\n", server.url("/t")));
    house.check(&[], &format!("{} -> {}", date(1), date(2)));
    assert_eq!(house.table(NETWORKS), new);
    assert_eq!(house.files(), [NETWORKS.to_owned(), format!("{NETWORKS}.previous")]);
    let asked = server.asked();
    assert_eq!(asked[0].header("range"), None);
    assert_eq!(asked[1].header("range"), Some(&*format!("bytes={part}-")));
    assert_eq!(asked[1].header("if-range"), Some("\"one\""));
    assert_eq!(asked.len(), 3);
}

#[test]
fn a_part_of_another_version_is_not_joined() {
    let (old, new) = (later(1), later(2));
    let served = new.clone();
    let (house, server) = house_with(move |asked, number| match number {
        0 => honest(&old, "\"old\"", asked).stopping_at(old.len() / 2, Then::Cut),
        _ => honest(&served, "\"new\"", asked),
    });
    house.check_refused(&[], "closed");
    house.check(&[], &format!("-> {}", date(2)));
    assert_eq!(house.table(NETWORKS), new);
    assert_eq!(server.asked()[1].header("if-range"), Some("\"old\""));
}

#[test]
fn a_part_that_the_server_cannot_continue_is_begun_anew() {
    let new = later(2);
    let served = new.clone();
    let (house, server) = house_with(move |asked, number| match number {
        0 => honest(&served, "\"a\"", asked).stopping_at(served.len() / 2, Then::Cut),
        1 => Reply::status(416),
        _ => honest(&served, "\"a\"", asked),
    });
    house.check_refused(&[], "closed");
    house.check(&[], &format!("-> {}", date(2)));
    assert_eq!((house.table(NETWORKS), server.asked().len()), (new, 3));
}

#[test]
fn a_hash_that_does_not_fit_is_refused() {
    let new = later(2);
    let hash: String = Sha256::digest(&new).iter().map(|b| format!("{b:02x}")).collect();
    let wrong = "0".repeat(64);
    let (served, list) = (new.clone(), format!("{wrong}  other\n{hash}  t\n"));
    let (house, server) = house_with(move |asked, _| match asked.path.as_str() {
        "/t" => honest(&served, "\"a\"", asked),
        "/right" => Reply::body(list.as_bytes()),
        "/wrong" => Reply::body("0".repeat(64).as_bytes()),
        "/none" => Reply::body(b"<html>"),
        _ => Reply::status(404),
    });
    let url = server.url("/t");
    let told =
        |more: String| house.configure(&format!("retries = 0\nnetworks = [{{ url = {url:?}, {more} }}]\n"));
    told(format!("sha256 = {wrong:?}"));
    house.check_refused(&[], &format!("what came is not what was published: its SHA-256 is {hash}"));
    assert_eq!(house.files(), [NETWORKS], "the bad file is not kept");
    told(format!("sha256_url = {:?}", server.url("/wrong")));
    house.check_refused(&[], "what came is not what was published");
    told(format!("sha256_url = {:?}", server.url("/none")));
    house.check_refused(&[], "has no SHA-256 of this file");
    told(format!("sha256_url = {:?}", server.url("/missing")));
    house.check_refused(&[], "there is no such file");
    told(format!("sha256_url = {:?}", server.url("/right")));
    house.check(&[], &format!("-> {}", date(2)));
    told(format!("sha256 = {hash:?}"));
    house.check(&[], "already fresh");
}

#[test]
fn what_is_no_good_table_is_refused() {
    let new = later(2);
    let mut damaged = new.clone();
    damaged[new.len() / 2] ^= 0x40;
    let owners = seal(TableKind::Owners, 1, TableDate(30_000), b"body").unwrap();
    let owners = compress_to_vec(owners.as_slice(), CompressionLevel::Fastest);
    let future = later(365 * 30);
    let bodies: Vec<(Vec<u8>, &str)> = vec![
        (damaged, "damaged"),
        (new[..new.len() / 2].to_vec(), "cut short"),
        (owners, "this is a table of owners, where one of networks belongs"),
        (b"<html><body>Please log in</body></html>".to_vec(), "is a web page and no table"),
        (Vec::new(), "neither a table of Telltale's nor an MMDB file"),
        (future, "or this machine's clock, is wrong"),
    ];
    let served: Vec<Vec<u8>> = bodies.iter().map(|(body, _)| body.clone()).collect();
    let (house, _server) = house_with(move |_, number| Reply::body(&served[number]));
    for (_, words) in bodies {
        house.check_refused(&[], words);
        assert_eq!(house.files(), [NETWORKS]);
    }
}

#[test]
fn what_is_too_large_is_refused_before_and_while_it_comes() {
    let (house, _server) = house_with(|_, number| match number {
        0 => Reply { claimed: Some(1 << 40), ..Reply::body(b"x") },
        _ => Reply { claimed: None, then: Then::Repeat, ..Reply::body(&[7; 1 << 16]) },
    });
    house.check_refused(&[], "the file is larger than the 134217728 bytes that are allowed");
    house.check_refused(&[], "the file is larger than the 134217728 bytes that are allowed");
    assert_eq!(house.files(), [NETWORKS]);
}

#[test]
fn a_server_that_is_gone_or_silent_is_given_up() {
    let new = later(2);
    let (house, server) = house_with(move |_, number| match number {
        0 => Reply::body(&new).stopping_at(1000, Then::Stall),
        1 => Reply::status(503),
        2 => Reply::status(403),
        _ => Reply::status(404),
    });
    house.check_refused(&[], "nothing came in time");
    house.check_refused(&[], "the server answers 503");
    house.check_refused(&[], "the server answers 403");
    house.check_refused(&[], "there is no such file");
    // A port that nobody listens on.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    house.configure(&format!("retries = 0\nnetworks = [\"https://localhost:{gone}/t\"]\n"));
    house.check_refused(&[], "refused");
    house.configure("retries = 0\nnetworks = [\"https://no-such-host.invalid/t\"]\n");
    house.check_refused(&[], "fetch https://no-such-host.invalid/t: ");
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn a_busy_server_is_tried_again() {
    let new = later(2);
    let (house, server) = house_with(move |asked, number| match number {
        0 => Reply::status(503),
        _ => honest(&new, "\"a\"", asked),
    });
    house.configure(&format!("retries = 1\nnetworks = [{:?}]\n", server.url("/t")));
    house.check(&[], &format!("-> {}", date(2)));
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let new = later(2);
    let (house, server) = house_with(move |asked, _| honest(&new, "\"a\"", asked));
    let other = Server::of(Vec::new());
    let path = house.path("other.pem");
    std::fs::write(&path, &other.ca).unwrap();
    house.check_refused(&["--ca", path.to_str().unwrap()], "no safe connection: invalid peer certificate");
    // The compiled-in authorities do not know it either.
    std::fs::write(
        house.path("telltale.toml"),
        format!("[update]\nretries = 3\nnetworks = [{:?}]\n", server.url("/t")),
    )
    .unwrap();
    house.check_refused(&[], "no safe connection: invalid peer certificate");
    // Nor is it one for another name.
    let url = server.url("/t").replace("localhost", "127.0.0.1");
    house.configure(&format!("retries = 0\nnetworks = [{url:?}]\n"));
    house.check_refused(&[], "no safe connection: invalid peer certificate");
    assert_eq!(server.asked().len(), 0, "nothing was asked of a server that is not trusted");
}

#[test]
fn redirects_are_followed_within_https_only() {
    let new = later(2);
    let (house, server) = house_with(move |asked, _| match asked.path.as_str() {
        "/t" => Reply::status(302).with("Location", "/there"),
        "/there" => honest(&new, "\"a\"", asked),
        "/plain" => Reply::status(301).with("Location", "http://localhost/t"),
        "/file" => Reply::status(301).with("Location", "file:///etc/hostname"),
        _ => Reply::status(307).with("Location", "/round"),
    });
    for (path, words) in [
        ("/plain", "leads to a page that is not HTTPS"),
        ("/file", "leads to a page that is not HTTPS"),
        ("/round", "there are more than 5 redirects"),
    ] {
        house.configure(&format!("retries = 0\nnetworks = [{:?}]\n", server.url(path)));
        house.check_refused(&[], words);
        house.check_refused(&["--allow-http"], words);
    }
    house.configure(&format!("retries = 0\nnetworks = [{:?}]\n", server.url("/t")));
    house.check(&[], &format!("-> {}", date(2)));
    house.configure("retries = 0\nnetworks = [\"http://localhost:1/t\"]\n");
    house.check_refused(&[], "is not HTTPS: anybody on the way could change the table");
    house.check_refused(&["--allow-http"], "refused");
}

#[test]
fn a_proxy_is_asked_for_the_way() {
    let new = later(2);
    let (house, server) = house_with(move |asked, _| honest(&new, "\"a\"", asked));
    let refusing = Proxy::start(true);
    house.check_refused(&["--proxy", &refusing.url()], "the proxy refuses");
    assert_eq!((refusing.connected().len(), server.asked().len()), (1, 0));

    let proxy = Proxy::start(false);
    house.check(&["--proxy", &proxy.url()], &format!("-> {}", date(2)));
    assert_eq!(proxy.connected(), [format!("localhost:{}", server.port)]);

    let output = house.command(&["--table", "networks"]).env("HTTPS_PROXY", proxy.url()).output().unwrap();
    crate::house::said(&output, 0, "already fresh");
    assert_eq!((proxy.connected().len(), server.asked().len()), (2, 2));

    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    house.check_refused(&["--proxy", &format!("http://user:secret@127.0.0.1:{gone}")], "refused");
    let output = house.run(&["--proxy", "://secret"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error, "telltale: the address of the proxy cannot be understood\n");
}
