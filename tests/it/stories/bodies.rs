//! Bodies as clients really send them: compressed, with a byte order mark, in another alphabet. They are read, or
//! refused with a sentence that says what to send.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::rest::{Answer, call_id};
use crate::harness::socket::invitation;
use crate::harness::{Rest, Service, Store};

on_sqlite!(
    a_compressed_body_is_unpacked,
    a_body_that_unpacks_to_too_much_is_too_large,
    what_is_not_gzip_is_told_so,
    another_compression_is_refused_by_its_name,
    a_byte_order_mark_before_json_is_passed_over,
    a_body_in_utf_16_is_told_to_be_utf_8,
);

const FAST: [(&str, &str); 1] = [("LIMITS__INITIATES_PER_MINUTE", "1000")];

/// Bodies of all kinds of readers: those that take a value, and those that hand a text to a dialect.
fn requests() -> [(&'static str, Value); 6] {
    [
        ("/api/status/update", json!({ "status": "online" })),
        ("/api/status/query", json!({ "user_ids": [1, 2] })),
        ("/api/call/initiate", json!({ "callee_id": 2, "call_type": "voice" })),
        ("/api/call/mark-all-seen", json!({})),
        ("/api/call-logs", json!({ "conversation_id": 12, "call_type": "voice", "status": "initiated" })),
        ("/api/dev/token", json!({ "user": 7 })),
    ]
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

async fn post(rest: &Rest, path: &str, encoding: &str, body: Vec<u8>) -> Answer {
    let request = rest.request(Method::POST, path).header("Content-Type", "application/json");
    let request = if encoding.is_empty() { request } else { request.header("Content-Encoding", encoding) };
    rest.send(request.body(body)).await
}

#[track_caller]
fn says(refused: &Value, code: &str, words: &[&str]) {
    assert_eq!(refused["code"], code, "{refused}");
    let sentence = refused["error"].as_str().expect("a sentence");
    assert!(words.iter().all(|word| sentence.contains(word)), "{words:?} in {sentence}");
}

async fn a_compressed_body_is_unpacked(store: Store) {
    let service = Service::with(&store, &FAST).await;
    let rest = service.rest("7");
    for (path, body) in requests() {
        let body = body.to_string();
        let (start, end) = body.as_bytes().split_at(body.len() / 2);
        // As one, in two parts as some send it, by its older name, and not at all.
        for (encoding, bytes) in [
            ("gzip", packed(body.as_bytes())),
            ("gzip", [packed(start), packed(end)].concat()),
            ("X-GZip", packed(body.as_bytes())),
            ("identity", body.clone().into_bytes()),
        ] {
            println!("{path} as {encoding}");
            post(&rest, path, encoding, bytes).await.ok();
        }
    }
    // What was in it counts: the call is there.
    let body = json!({ "callee_id": 3, "call_type": "video" }).to_string();
    let call = call_id(&post(&rest, "/api/call/initiate", "gzip", packed(body.as_bytes())).await.ok());
    assert_eq!(rest.record(call).await["callee_ids"], json!([3]));
}

async fn a_body_that_unpacks_to_too_much_is_too_large(store: Store) {
    let service = Service::with(&store, &FAST).await;
    let rest = service.rest("7");
    // Fifteen kilobytes that would be fifteen million.
    let bomb = packed(&vec![b' '; 15_000_000]);
    assert!(bomb.len() < 16_000, "{}", bomb.len());
    for (path, body) in requests() {
        says(&post(&rest, path, "gzip", bomb.clone()).await.refused(413), "too_large", &["bytes"]);
        // The same at the limit itself: blanks after a body are part of it.
        let limit = if path.starts_with("/api/call/initiate") { 64 * 1024 } else { 16 * 1024 };
        let mut body = body.to_string().into_bytes();
        body.resize(limit, b' ');
        post(&rest, path, "gzip", packed(&body)).await.ok();
        body.push(b' ');
        let limit = limit.to_string();
        says(&post(&rest, path, "gzip", packed(&body)).await.refused(413), "too_large", &[&limit, "unpacked"]);
    }
    // What nests too deep does so when it is unpacked.
    let deep = packed(format!("{}{}", "[".repeat(40), "]".repeat(40)).as_bytes());
    says(&post(&rest, "/api/status/query", "gzip", deep).await.refused(400), "invalid", &["nests deeper"]);
}

async fn what_is_not_gzip_is_told_so(store: Store) {
    let service = Service::start(&store).await;
    let rest = service.rest("7");
    let body = json!({ "status": "online" }).to_string();
    let whole = packed(body.as_bytes());
    let mut spoilt = whole.clone();
    let checksum = spoilt.len() - 8;
    spoilt[checksum] ^= 1;
    for bad in [
        body.clone().into_bytes(),
        whole[..whole.len() - 9].to_vec(),
        [whole.clone(), b"more".to_vec()].concat(),
        spoilt,
        vec![0x1f, 0x8b],
    ] {
        let refused = post(&rest, "/api/status/update", "gzip", bad).await.refused(400);
        says(&refused, "invalid", &["gzip", "Content-Encoding"]);
    }
    // Nothing at all is nothing, however it is packed.
    post(&rest, "/api/call/mark-all-seen", "gzip", Vec::new()).await.ok();
    // Packed, and not said: it is no JSON, and what is missing is named.
    says(&post(&rest, "/api/status/update", "", whole).await.refused(400), "invalid", &["Content-Encoding: gzip"]);
}

async fn another_compression_is_refused_by_its_name(store: Store) {
    let service = Service::start(&store).await;
    let rest = service.rest("7");
    for encoding in ["br", "deflate", "zstd", "gzip, gzip", "GZIPPED", "x"] {
        for (path, body) in requests() {
            let request = rest.request(Method::POST, path).header("Content-Encoding", encoding);
            let answer = request.body(body.to_string()).send().await.expect("an answer");
            assert_eq!(answer.headers()["accept-encoding"], "gzip", "{encoding}");
            let refused = post(&rest, path, encoding, body.to_string().into_bytes()).await.refused(415);
            says(&refused, "unsupported_encoding", &[encoding, "gzip"]);
        }
    }
}

async fn a_byte_order_mark_before_json_is_passed_over(store: Store) {
    let service = Service::with(&store, &FAST).await;
    let rest = service.rest("7");
    for (path, body) in requests() {
        let marked = format!("\u{feff}{body}").into_bytes();
        post(&rest, path, "", marked.clone()).await.ok();
        post(&rest, path, "gzip", packed(&marked)).await.ok();
    }
    // A body that is the mark alone is empty.
    post(&rest, "/api/call/mark-all-seen", "", "\u{feff}".into()).await.ok();
    let twice = post(&rest, "/api/status/update", "", "\u{feff}\u{feff}{\"status\":\"online\"}".into()).await;
    says(&twice.refused(400), "invalid", &["cannot be read"]);
    // Sockets, too.
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    anna.send_text(format!("\u{feff}{}", invitation("2"))).await;
    call_id(&ben.expect("call_invitation").await);
    anna.quiet().await;
}

async fn a_body_in_utf_16_is_told_to_be_utf_8(store: Store) {
    let service = Service::start(&store).await;
    let rest = service.rest("7");
    for (path, body) in requests() {
        let units: Vec<u16> = body.to_string().encode_utf16().collect();
        let marked: Vec<u16> = std::iter::once(0xfeff).chain(units.iter().copied()).collect();
        let little = |units: &[u16]| units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<u8>>();
        let big = |units: &[u16]| units.iter().flat_map(|unit| unit.to_be_bytes()).collect::<Vec<u8>>();
        for bytes in [little(&marked), big(&marked), little(&units), big(&units)] {
            says(&post(&rest, path, "", bytes).await.refused(400), "invalid", &["UTF-16", "UTF-8"]);
        }
        // Neither: an alphabet of one byte a letter.
        says(&post(&rest, path, "", b"{\"a\":\"J\xfcrgen\"}".to_vec()).await.refused(400), "invalid", &["UTF-8"]);
    }
}
