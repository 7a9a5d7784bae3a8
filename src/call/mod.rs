mod record;

pub use record::{LegRecord, Record, Role, TraceEntry};
