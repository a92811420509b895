//! Loads to a server of PostgreSQL that speaks TLS, and one that does not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::net::TcpListener;

use common::place::{Place, utf8};
use common::postgres::Postgres;

/// A port that nobody listens on.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Loads rows by a connection string; the code that the run ended with, and what was said.
fn load(place: &Place, roots: &str, url: &str) -> (bool, String) {
    let flow = "name = \"load\"\nparams.database = { type = \"text\", secret = true }\n[tasks.t]\n\
        load = { from = \"in.csv\", postgres = \"${database}\", table = \"t\" }\n";
    std::fs::write(place.at("load.flow.toml"), flow).unwrap();
    std::fs::write(place.at("in.csv"), "n\n1\n").unwrap();
    let mut command = place.command("flow run load.flow.toml");
    if place.at(".gristmill").exists() {
        command = place.command("flow rerun 1 --all");
    }
    command
        .env("GRISTMILL_PARAM_DATABASE", url)
        .env("SSL_CERT_FILE", place.at(roots))
        .env_remove("SSL_CERT_DIR");
    let output = command.output().unwrap();
    (output.status.success(), utf8(output.stdout) + &utf8(output.stderr))
}

fn certificate(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn the_mode_says_whether_there_is_tls_and_who_is_trusted() {
    let (certificate, key) = certificate("localhost");
    let place = Place::new(&[("roots.pem", &certificate), ("others.pem", &self::certificate("localhost").0)]);
    let port = port();
    let server = Postgres::start_on_port(port, Some((&certificate, &key)));
    let table = "CREATE TABLE t (n bigint)";
    server.client_on_socket(port).batch_execute(table).unwrap();
    for (host, mode, roots, is_loaded) in [
        ("localhost", "", "others.pem", true),
        ("localhost", "sslmode=prefer", "others.pem", true),
        ("localhost", "sslmode=require", "others.pem", true),
        ("localhost", "sslmode=verify-full", "roots.pem", true),
        ("localhost", "sslmode=disable", "roots.pem", false), // the server takes nobody without
        ("localhost", "sslmode=verify-full", "others.pem", false), // it is another one's
        ("elsewhere", "sslmode=verify-full", "roots.pem", false), // it has another name
    ] {
        let url = format!("host={host} hostaddr=127.0.0.1 port={port} user=test dbname=postgres {mode}");
        let (loaded, said) = load(&place, roots, &url);
        assert_eq!(loaded, is_loaded, "{host} {mode} {roots}: {said}");
        if mode == "sslmode=verify-full" && !loaded {
            assert!(said.contains("certificate"), "{said}");
        }
    }
    let rows = server.client_on_socket(port).query("SELECT n FROM t", &[]).unwrap();
    assert_eq!(rows.len(), 1); // each load has replaced what the one before had left
}

#[test]
fn a_server_without_tls_is_for_those_who_do_not_ask_for_it() {
    let place = Place::new(&[]);
    let port = port();
    let server = Postgres::start_on_port(port, None);
    server.client_on_socket(port).batch_execute("CREATE TABLE t (n bigint)").unwrap();
    for (mode, is_loaded) in [("", true), ("sslmode=disable", true), ("sslmode=require", false)] {
        let url = format!("host=localhost hostaddr=127.0.0.1 port={port} user=test dbname=postgres {mode}");
        let (loaded, said) = load(&place, "", &url);
        assert_eq!(loaded, is_loaded, "{mode}: {said}");
    }
    let (loaded, said) = load(&place, "", "host=localhost sslmode=verify-ca user=secretive");
    assert!(!loaded && said.contains("sslmode is disable, prefer, require or verify-full"), "{said}");
    assert!(!said.contains("secretive"), "{said}");
}
