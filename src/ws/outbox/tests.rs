use super::*;
use crate::ws::close::Close;
use std::future::poll_fn;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

/// A socket with a small buffer, and its client.
async fn pair() -> (OwnedWriteHalf, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    socket2::SockRef::from(&server).set_send_buffer_size(16 * 1024).unwrap();
    server.writable().await.unwrap();
    let (_, output) = server.into_split();
    (output, client)
}

async fn written(outbox: &Outbox, mut client: TcpStream) -> Vec<u8> {
    let mut seen = Vec::new();
    let writing = async {
        poll_fn(|cx| outbox.poll_write(cx)).await.unwrap();
        drop(outbox.release());
    };
    tokio::join!(writing, client.read_to_end(&mut seen)).1.unwrap();
    seen
}

fn push(outbox: &Outbox, text: &str) -> Result<(), Refused> {
    outbox.push(OpCode::Text, text.as_bytes())
}

#[actix_web::test]
async fn a_full_queue_refuses_and_still_has_room_for_the_close() {
    let outbox = Outbox::new(2, 1000);
    assert_eq!(push(&outbox, "a"), Ok(()));
    assert_eq!(push(&outbox, "b"), Ok(()));
    assert_eq!(push(&outbox, "c"), Err(Refused::Full));
    assert!(outbox.close(Some(Close::Slow.frame()), true));
    assert!(!outbox.close(Some(Close::Replaced.frame()), false));
    assert_eq!(outbox.waiting(), (0, 0));
    assert_eq!(push(&outbox, "late"), Err(Refused::Closed));
    outbox.finish();
    let (output, client) = pair().await;
    outbox.open(output, b"");
    let seen = written(&outbox, client).await;
    assert_eq!(seen[2..4], 4408u16.to_be_bytes());
    assert_eq!(seen.len(), 2 + usize::from(seen[1]));
}

#[test]
fn bytes_are_bounded_too() {
    let outbox = Outbox::new(100, 10);
    assert_eq!(push(&outbox, "12345678"), Ok(()));
    assert_eq!(push(&outbox, "1"), Err(Refused::Full));
}

#[actix_web::test]
async fn what_the_socket_takes_does_not_wait() {
    let outbox = Outbox::new(2, 1000);
    let (output, client) = pair().await;
    outbox.open(output, b"head ");
    for _ in 0..5 {
        assert_eq!(push(&outbox, "a"), Ok(()));
        assert_eq!(outbox.waiting(), (0, 0));
    }
    outbox.finish();
    assert_eq!(written(&outbox, client).await, b"head \x81\x01a\x81\x01a\x81\x01a\x81\x01a\x81\x01a");
}

#[actix_web::test]
async fn what_waits_is_written_in_order_and_whole_also_where_the_rest_is_dropped() {
    for discard in [false, true] {
        let outbox = Outbox::new(10_000, 1 << 30);
        let (output, client) = pair().await;
        outbox.open(output, b"");
        let text = |n: usize| format!("{n:05}{}", "x".repeat(995));
        let mut count = 0;
        while outbox.waiting().0 < 40 {
            push(&outbox, &text(count)).unwrap();
            count += 1;
        }
        assert!(outbox.close(Some(Close::Draining.frame()), discard));
        outbox.finish();
        let seen = written(&outbox, client).await;
        let (frames, close) = seen.split_at(seen.len() / 1004 * 1004);
        for (n, frame) in frames.chunks(1004).enumerate() {
            assert!(frame[4..] == *text(n).as_bytes(), "frame {n} of {count}");
        }
        assert_eq!(close[2..4], 1012u16.to_be_bytes());
        assert_eq!(frames.len() / 1004 == count, !discard);
        assert_eq!(outbox.waiting(), (0, 0));
    }
}

#[actix_web::test]
async fn what_is_held_is_written_together_and_in_order() {
    let outbox = Outbox::new(10, 1000);
    let (output, client) = pair().await;
    outbox.open(output, b"");
    push(&outbox, "a").unwrap();
    outbox.hold();
    push(&outbox, "b").unwrap();
    push(&outbox, "c").unwrap();
    assert_eq!(outbox.waiting().0, 2);
    outbox.let_go();
    assert_eq!(outbox.waiting(), (0, 0));
    push(&outbox, "d").unwrap();
    outbox.hold();
    push(&outbox, "e").unwrap();
    assert!(outbox.close(None, false), "nobody waits for who was held when the last frame came");
    outbox.finish();
    assert_eq!(written(&outbox, client).await, b"\x81\x01a\x81\x01b\x81\x01c\x81\x01d\x81\x01e\x88\x00");
    outbox.let_go();
}

#[actix_web::test]
async fn no_more_is_held_than_one_write_takes() {
    let outbox = Outbox::new(AT_ONCE, 1 << 20);
    let (output, client) = pair().await;
    outbox.open(output, b"");
    outbox.hold();
    for _ in 0..AT_ONCE * 3 + 1 {
        assert_eq!(push(&outbox, "a"), Ok(()));
    }
    assert_eq!(outbox.waiting().0, 1);
    outbox.let_go();
    outbox.finish();
    assert_eq!(written(&outbox, client).await, b"\x81\x01a".repeat(AT_ONCE * 3 + 1));
}

#[actix_web::test]
async fn a_socket_that_failed_takes_nothing_more_and_is_noticed() {
    let outbox = Outbox::new(10, 1000);
    let (output, client) = pair().await;
    outbox.open(output, b"");
    drop(client);
    while push(&outbox, "a").is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(poll_fn(|cx| outbox.poll_write(cx)).await.is_err());
    assert_eq!(outbox.waiting(), (0, 0));
}
