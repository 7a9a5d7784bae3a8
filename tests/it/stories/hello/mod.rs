//! What sockets that said `hello` are told beyond the seeds, and that nobody else is.

mod resumed;
mod told;
mod watched;

use serde_json::Value;

fn seq(message: &Value) -> u64 {
    message["seq"].as_u64().unwrap_or_else(|| panic!("no seq: {message}"))
}

/// The numbers of messages in the order they came; fails where one is missing.
fn numbers(messages: &[Value]) -> Vec<u64> {
    messages.iter().map(seq).collect()
}
