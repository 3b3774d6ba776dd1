// SPDX-License-Identifier: Apache-2.0
//! TLS: regular clients, and others.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use wss::host::{ClientAuth, Options, Server, Tls, TlsError};

use super::client::{BINARY, CLOSE, Client, PATIENCE, REQUEST, TEXT, close_body, frame};
use super::server::{Log, echo_server, eventually, limited, options};

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate for this name and its key.
    fn issue(&self, name: &str, expired: bool) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        if expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    /// The credentials of a server.
    fn server(&self) -> Tls {
        let (cert, key) = self.issue("localhost", false);
        Tls::bytes(cert.as_bytes(), key.as_bytes()).build().unwrap()
    }

    /// A client that trusts this authority, perhaps with a certificate.
    fn client(
        &self,
        version: &'static SupportedProtocolVersion,
        own: Option<&(String, String)>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        })
    }
}

/// A server with TLS, its log, and a client for it.
fn tls_server(options: Options) -> (Server, Log, Arc<ClientConfig>) {
    let authority = Authority::new();
    let (server, log) = echo_server(&options.tls(authority.server()));
    (server, log, authority.client(&TLS13, None))
}

fn open(addr: SocketAddr, config: &Arc<ClientConfig>) -> Client {
    Client::connect(addr).secured(config).upgraded()
}

/// Waits until every slot is free, and has another client connect.
fn assert_serves(server: &Server, config: &Arc<ClientConfig>) {
    let clients = server.clients();
    eventually("every slot comes back", || {
        let stats = clients.stats();
        stats.accepted == stats.closed
    });
    open(server.local_addr(), config).echo("still there?");
}

/// Actions of a client that make TLS fail on the server; none of its clients is connected.
fn assert_fails(act: impl FnOnce(Client)) -> Server {
    let (server, log, config) = tls_server(options());
    act(Client::connect(server.local_addr()));
    assert_eq!(
        log.until_closed(),
        ["connecting", "tlsfailed", "closing", "closed"]
    );
    assert_eq!(server.clients().stats().tls_failures, 1);
    assert_serves(&server, &config);
    server
}

/// The first bytes of a client.
fn client_hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let name = "localhost".try_into().unwrap();
    let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut bytes = Vec::new();
    tls.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn messages_of_every_size_come_back_with_each_version() {
    let authority = Authority::new();
    let options = options().rx_buffer(200_000).tls(authority.server());
    let (server, _) = echo_server(&options);
    for version in [&TLS12, &TLS13] {
        let config = authority.client(version, None);
        let mut client = open(server.local_addr(), &config);
        for len in [
            0, 1, 125, 126, 1400, 16_383, 16_384, 16_385, 70_000, 200_000,
        ] {
            let message: Vec<u8> = (0..len).map(|at| at as u8).collect();
            client.send(BINARY, &message);
            client.expect(BINARY, &message);
        }
        client.send(CLOSE, &close_body(1000, ""));
        client.expect_close(1000, "");
        // With a close_notify: anything else is an error of the client.
        client.expect_end();
    }
    assert_eq!(server.clients().stats().tls_failures, 0);
}

#[test]
fn many_messages_at_once_are_all_answered() {
    let (server, _, config) = tls_server(options());
    let mut client = open(server.local_addr(), &config);
    let mut bytes = Vec::new();
    for index in 0..2000_u32 {
        bytes.extend(frame(true, TEXT, format!("message {index}").as_bytes()));
    }
    client.write(&bytes);
    for index in 0..2000_u32 {
        client.expect(TEXT, format!("message {index}").as_bytes());
    }
}

#[test]
fn a_handshake_in_single_bytes_is_finished() {
    let (server, _, config) = tls_server(options());
    let mut client = Client::connect(server.local_addr());
    let name = "localhost".try_into().unwrap();
    let mut tls = ClientConnection::new(Arc::clone(&config), name).unwrap();
    tls.writer().write_all(REQUEST.as_bytes()).unwrap();
    while tls.is_handshaking() || tls.wants_write() {
        while tls.wants_write() {
            let mut bytes = Vec::new();
            tls.write_tls(&mut bytes).unwrap();
            for byte in bytes {
                client.stream.write_all(&[byte]).unwrap();
                thread::sleep(Duration::from_micros(20));
            }
        }
        if tls.is_handshaking() {
            tls.read_tls(&mut client.stream).unwrap();
            tls.process_new_packets().unwrap();
        }
    }
    client.tls = Some(Box::new(tls));
    assert_eq!(client.response().status, 101);
    client.echo("whole");
}

#[test]
fn http_without_tls_is_answered_with_400() {
    assert_fails(|mut client| {
        client.write(REQUEST.as_bytes());
        let response = client.response();
        assert_eq!(response.status, 400);
        let body = String::from_utf8(response.body).unwrap();
        assert_eq!(body, "This port needs TLS: use https:// or wss://\n");
        client.expect_end();
    });
}

#[test]
fn bytes_that_are_no_tls_fail_with_an_alert() {
    assert_fails(|mut client| {
        client.write(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00");
        let rest = client.rest();
        assert_eq!(rest.first(), Some(&0x15), "an alert: {rest:?}");
    });
    assert_fails(|mut client| {
        client.write(&[0; 100]);
        client.rest();
    });
    // A record of 20 KB.
    assert_fails(|mut client| {
        client.write(b"\x16\x03\x01\x50\x00");
        client.rest();
    });
}

#[test]
fn a_client_that_leaves_during_its_handshake_frees_its_slot() {
    let hello = client_hello(&Authority::new().client(&TLS13, None));
    for len in [0, 1, 5, 6, 100, hello.len() - 1, hello.len()] {
        assert_fails(|mut client| {
            client.write(&hello[..len]);
            client.end_of_stream();
            client.rest();
        });
        assert_fails(|mut client| {
            client.write(&hello[..len]);
            client.reset();
        });
    }
}

#[test]
fn a_client_that_does_not_trust_the_certificate_says_so() {
    let stranger = Authority::new().client(&TLS13, None);
    assert_fails(|client| {
        let mut client = client.secured(&stranger);
        let mut stream =
            rustls::Stream::new(&mut **client.tls.as_mut().unwrap(), &mut client.stream);
        let error = stream.read(&mut [0]).unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    });
}

#[test]
fn a_client_without_a_common_protocol_fails() {
    let (server, log, config) = tls_server(options());
    let mut config = (*config).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let client = Client::connect(server.local_addr());
    let mut client = client.secured(&Arc::new(config.clone()));
    let mut stream = rustls::Stream::new(&mut **client.tls.as_mut().unwrap(), &mut client.stream);
    assert!(stream.read(&mut [0]).is_err());
    drop(client);
    assert!(log.until_closed().contains(&"tlsfailed".to_owned()));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    assert_serves(&server, &Arc::new(config));
}

#[test]
fn silent_and_unfinished_handshakes_time_out_and_delay_no_client() {
    let mut options = limited(|limits| limits.handshake_timeout_ms = 1_000);
    options.max_clients = 17;
    let (server, log, config) = tls_server(options);
    let mut client = open(server.local_addr(), &config);
    let hello = client_hello(&config);
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(Client::connect(server.local_addr()));
        let mut half = Client::connect(server.local_addr());
        half.write(&hello[..hello.len() / 2]);
        waiting.push(half);
    }
    eventually("all have a slot", || {
        server.clients().stats().accepted == 17
    });
    // Every slot is in use: there is no response, because that would need a handshake.
    let mut beyond = Client::connect(server.local_addr());
    beyond.expect_end();
    let worst = (0..200).map(|_| {
        let began = Instant::now();
        client.echo("on time");
        began.elapsed()
    });
    let worst = worst.max().unwrap();
    assert!(worst < PATIENCE / 4, "an echo took {worst:?}");
    log.wait_for("timeout", 16);
    assert_eq!(server.clients().stats().timeouts, 16);
    drop((client, waiting));
    assert_serves(&server, &config);
}

#[test]
fn a_record_that_is_not_authentic_fails_the_connection() {
    let (server, log, config) = tls_server(options());
    let mut client = open(server.local_addr(), &config);
    client.echo("before");
    client.stream.write_all(b"\x17\x03\x03\x00\x20").unwrap();
    client.stream.write_all(&[7; 32]).unwrap();
    client.stream.read_to_end(&mut Vec::new()).unwrap();
    let events = log.until_closed();
    assert!(
        events.ends_with(&["tlsfailed".into(), "closing".into(), "closed".into()]),
        "{events:?}"
    );
    assert_serves(&server, &config);
}

#[test]
fn what_came_before_a_bad_record_is_delivered() {
    let (server, log, config) = tls_server(options());
    let mut client = open(server.local_addr(), &config);
    let tls = client.tls.as_mut().unwrap();
    tls.writer()
        .write_all(&frame(true, TEXT, b"last words"))
        .unwrap();
    let mut bytes = Vec::new();
    tls.write_tls(&mut bytes).unwrap();
    bytes.extend(b"\x17\x03\x03\x00\x20");
    bytes.extend([7; 32]);
    client.stream.write_all(&bytes).unwrap();
    client.stream.read_to_end(&mut Vec::new()).unwrap();
    let events = log.until_closed();
    assert!(events.contains(&"text last words".to_owned()), "{events:?}");
    assert!(events.contains(&"tlsfailed".to_owned()), "{events:?}");
}

#[test]
fn an_end_without_close_notify_is_an_abort() {
    let (server, log, config) = tls_server(options());
    let client = open(server.local_addr(), &config);
    client.end_of_stream();
    log.wait_for("closed", 1);
    assert_eq!(server.clients().stats().aborted, 1);
    // With one it is not.
    let mut client = open(server.local_addr(), &config);
    client.tls.as_mut().unwrap().send_close_notify();
    client.write(b"");
    client.expect_end();
    log.wait_for("closed", 2);
    assert_eq!(server.clients().stats().aborted, 1);
}

#[test]
fn a_client_that_reads_slowly_gets_everything() {
    let authority = Authority::new();
    let options = options().rx_buffer(100_000).tls(authority.server());
    let (server, _) = echo_server(&options);
    let config = authority.client(&TLS13, None);
    let narrow = Client::connect_narrow(server.local_addr());
    let mut slow = narrow.secured(&config).upgraded();
    let mut other = open(server.local_addr(), &config);
    let message: Vec<u8> = (0..100_000_u32).map(|at| (at / 7) as u8).collect();
    let to = server.clients().clone();
    let id = to.iter().next().unwrap();
    let sent = message.clone();
    let sender = thread::spawn(move || (0..20).all(|_| to.send_binary(id, &sent).is_ok()));
    other.echo("meanwhile");
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(5));
        slow.expect(BINARY, &message);
    }
    assert!(sender.join().unwrap());
    slow.echo("after");
}

#[test]
fn loops_share_clients() {
    let mut options = options();
    options.loops = 2;
    let (server, _, config) = tls_server(options);
    let mut clients: Vec<_> = (0..4).map(|_| open(server.local_addr(), &config)).collect();
    for client in &mut clients {
        client.echo("on its loop");
    }
}

#[test]
fn stopping_closes_clients_and_ends_handshakes() {
    let (server, log, config) = tls_server(options());
    let mut client = open(server.local_addr(), &config);
    let mut silent = Client::connect(server.local_addr());
    log.wait_for("connecting", 2);
    let reader = thread::spawn(move || {
        client.expect_close(1001, "");
        client.send(CLOSE, &close_body(1001, ""));
        client.expect_end();
    });
    assert!(server.stop());
    reader.join().unwrap();
    silent.expect_end();
}

#[test]
fn clients_without_a_valid_certificate_are_refused_where_one_is_required() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (cert, key) = authority.issue("localhost", false);
    let own = clients.issue("a client", false);
    let wrong = [
        None,
        Some(Authority::new().issue("a client", false)),
        Some(clients.issue("a client", true)),
    ];
    for (auth, refused) in [(ClientAuth::Required, 3), (ClientAuth::Optional, 2)] {
        let tls = Tls::bytes(cert.as_bytes(), key.as_bytes());
        let tls = tls.client_ca(clients.pem.as_bytes(), auth).build().unwrap();
        let (server, log) = echo_server(&options().tls(tls));
        for version in [&TLS12, &TLS13] {
            let config = authority.client(version, Some(&own));
            open(server.local_addr(), &config).echo("welcome");
        }
        for own in &wrong[3 - refused..] {
            let config = authority.client(&TLS13, own.as_ref());
            let mut client = Client::connect(server.local_addr()).secured(&config);
            let tls = client.tls.as_mut().unwrap();
            let mut stream = rustls::Stream::new(&mut **tls, &mut client.stream);
            // The client gets it with its first read (RFC 8446 section 4.4.2.4).
            let _ = stream.write_all(REQUEST.as_bytes());
            assert!(stream.read(&mut [0]).is_err());
        }
        log.wait_for("tlsfailed", refused);
        if auth == ClientAuth::Optional {
            let config = authority.client(&TLS13, None);
            open(server.local_addr(), &config).echo("without");
        }
        drop(server);
    }
}

#[test]
fn a_certificate_is_renewed_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let tls = old.server();
    let (server, _) = echo_server(&options().tls(tls.clone()));
    let (old_config, new_config) = (old.client(&TLS13, None), new.client(&TLS13, None));
    let mut client = open(server.local_addr(), &old_config);
    let (cert, key) = new.issue("localhost", false);
    // A key of another certificate is rejected, and changes nothing.
    let wrong = Tls::bytes(cert.as_bytes(), old.issue("localhost", false).1.as_bytes());
    assert!(matches!(tls.replace(wrong), Err(TlsError::Unusable(_))));
    open(server.local_addr(), &old_config).echo("as before");
    tls.replace(Tls::bytes(cert.as_bytes(), key.as_bytes()))
        .unwrap();
    open(server.local_addr(), &new_config).echo("renewed");
    client.echo("still connected");
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("localhost", false);
    let error = |cert: &str, key: &str| Tls::bytes(cert.as_bytes(), key.as_bytes()).build().err();
    assert_eq!(error(&cert, &key), None);
    assert_eq!(error("", &key), Some(TlsError::NoCertificate));
    assert_eq!(error(&key, &key), Some(TlsError::NoCertificate));
    assert_eq!(error(&cert, ""), Some(TlsError::NoKey));
    assert_eq!(error(&cert, &cert), Some(TlsError::NoKey));
    let tls = Tls::bytes(cert.as_bytes(), key.as_bytes());
    let ca = tls.client_ca(b"none", ClientAuth::Required).build();
    assert!(matches!(ca.err(), Some(TlsError::ClientCa(_))));
    let file = Tls::files("/nowhere/cert.pem", "/nowhere/key.pem").build();
    let error = file.err().unwrap().to_string();
    assert!(
        error.starts_with("cannot read /nowhere/cert.pem: "),
        "{error}"
    );
}
