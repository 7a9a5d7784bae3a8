//! What the deciding parts cost by themselves: reading and writing frames, a call's transitions, presence,
//! admission. What the whole service costs is measured by `load`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use serde_json::value::RawValue;
use switchboard::call::admission::{Engagement, admit};
use switchboard::call::{Call, Event, Reach, Rules, Standing, Start};
use switchboard::clock::{Clock, Moment, Now};
use switchboard::dialect::channels::Channels;
use switchboard::dialect::polling::Polling;
use switchboard::dialect::{Caps, DIALECTS, Dialect, Reader};
use switchboard::ids::{CallId, DeviceId, SessionId, UserId};
use switchboard::presence::{Patience, Pulse, Tracker};
use switchboard::signal::{About, CallType, Capabilities, Incoming, Invite, Notice, Party, Payload, Phase};

/// A description of 2.2 kB, or a candidate of about 500 bytes, as JSON.
fn payload(bytes: usize) -> String {
    format!(r#"{{"type":"offer","sdp":"v=0\r\n{}"}}"#, "a".repeat(bytes))
}

fn raw(json: &str) -> Payload {
    Payload::new(&RawValue::from_string(json.to_owned()).expect("valid JSON"))
}

fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a valid name")
}

fn device(name: &str) -> DeviceId {
    DeviceId::parse(name).expect("a valid name")
}

fn reach(name: &str) -> Reach {
    Reach { device: device(name), capabilities: Capabilities { offer_in_invitation: true }, profile: None }
}

fn invite(callee: &str) -> Invite {
    Invite {
        callees: vec![user(callee).into()],
        call_type: CallType::Video,
        conversation: None,
        offer: Some(raw(&payload(2200))),
        name: None,
        glare: false,
        idempotency_key: None,
        extra: Vec::new(),
    }
}

fn candidate() -> Notice {
    let call = CallId::new(41).expect("a call id");
    Notice::Candidate { call, from: user("7").into(), payload: raw(&payload(500)), extra: Vec::new() }
}

fn incoming(now: Now) -> Notice {
    let about = About {
        call: CallId::new(41).expect("a call id"),
        caller: Party::from(user("7")),
        caller_name: Some("Ada".to_owned()),
        call_type: CallType::Video,
        conversation: None,
    };
    Notice::Incoming(Incoming {
        about,
        offer: Some(raw(&payload(2200))),
        started_at: now.wall,
        rings_until: now.wall,
        expires_in_ms: 30_000,
        participants: Vec::new(),
        extra: Vec::new(),
    })
}

/// Reading and writing what is sent most, and what is largest.
fn dialects(criterion: &mut Criterion) {
    let now = Clock::new().now();
    let (candidate, incoming, reader) = (candidate(), incoming(now), user("8"));
    let (ice, offer) = (payload(500), payload(2200));
    let users: Arc<dyn Dialect> = (DIALECTS[0].make)(Caps::default());
    let profiles: Arc<dyn Dialect> = (DIALECTS[1].make)(Caps::default());
    let channels: Arc<dyn Dialect> = Arc::new(Channels::new(Caps::default()));
    let to_user = [
        format!(r#"{{"type":"ice_candidate","to_user_id":8,"candidate":{ice}}}"#),
        format!(r#"{{"type":"call_invitation","to_user_id":8,"call_type":"video","offer":{offer}}}"#),
    ];
    let to_profile = [
        format!(r#"{{"type":"ice_candidate","to_profile_id":1,"to_profile_type":"tutor","candidate":{ice}}}"#),
        format!(r#"{{"type":"call_invitation","to_profile_id":1,"to_profile_type":"tutor","offer":{offer}}}"#),
    ];
    // Here an offer follows its invitation.
    let to_call = [
        format!(r#"{{"type":"call.ice","call_id":"41","candidate":{ice}}}"#),
        format!(r#"{{"type":"call.offer","call_id":"41","offer":{offer}}}"#),
    ];
    for (name, dialect, texts) in
        [("users", users, to_user), ("profiles", profiles, to_profile), ("channels", channels, to_call)]
    {
        for (what, text) in ["candidate", "invitation"].into_iter().zip(&texts) {
            assert!(dialect.parse(text).inbound.is_ok(), "{text}");
            criterion.bench_function(&format!("{name}: read {what}"), |b| b.iter(|| dialect.parse(black_box(text))));
        }
        for (what, notice) in [("candidate", &candidate), ("invitation", &incoming)] {
            criterion.bench_function(&format!("{name}: write {what}"), |b| {
                b.iter(|| dialect.render(black_box(notice), Reader::plain(&reader)));
            });
        }
    }
    let polling = Polling::new(Caps::default());
    let signal = format!(r#"{{"target_user_id":8,"signal":{{"type":"ice_candidate","candidate":{ice}}}}}"#);
    let initiate = format!(r#"{{"callee_id":8,"call_type":"video","offer":{offer}}}"#);
    for (what, action, body) in [("candidate", "signal", signal), ("invitation", "initiate", initiate)] {
        let action = switchboard::dialect::polling::Action::parse(action).expect("an action");
        assert!(polling.parse(action, &body).is_ok(), "{body}");
        criterion.bench_function(&format!("polling: read {what}"), |b| {
            b.iter(|| polling.parse(action, black_box(&body)));
        });
    }
    for (what, notice) in [("candidate", &candidate), ("invitation", &incoming)] {
        criterion.bench_function(&format!("polling: write {what}"), |b| b.iter(|| polling.render(black_box(notice))));
    }
}

/// All a call of two goes through, records included.
fn transitions(criterion: &mut Criterion) {
    let rules = Rules::default();
    let now = Clock::new().now();
    let start = || Start {
        id: CallId::new(41).expect("a call id"),
        caller: user("7"),
        caller_name: None,
        caller_device: Some(device("a")),
        caller_devices: vec![reach("a")],
        callees: vec![(user("8").into(), Standing::Free(vec![reach("b")]))],
        invite: invite("8"),
    };
    let answer = raw(&payload(2200));
    let ice = raw(&payload(500));
    criterion.bench_function("one call: start, answer, 8 candidates, end", |b| {
        b.iter_batched(
            start,
            |start| {
                let (mut call, effects) = Call::start(start, now, &rules);
                black_box((effects, call.record()));
                let (caller, callee) = (user("7"), user("8"));
                let mut apply = |event| black_box(call.apply(event, now, &rules).expect("allowed"));
                let answer = Some((answer.clone(), Vec::new()));
                apply(Event::Accept { user: callee.clone(), device: Some(device("b")), to: None, answer });
                for (user, name) in [(&caller, "a"), (&callee, "b")].into_iter().cycle().take(8) {
                    let (user, device) = (user.clone(), Some(device(name)));
                    apply(Event::Candidate { user, device, to: None, payload: ice.clone(), extra: Vec::new() });
                }
                apply(Event::HangUp { user: caller, device: Some(device("a")) });
                black_box(call.record())
            },
            BatchSize::SmallInput,
        );
    });
}

/// A sweep over very many users: most are there, and one in a hundred fell silent.
fn presence(criterion: &mut Criterion) {
    const USERS: usize = 100_000;
    let patience = Patience::default();
    let at = |seconds: i64| Moment(seconds * 1_000_000);
    let crowd = || {
        let mut tracker = Tracker::new(patience);
        let pulses: Vec<Arc<Pulse>> = (0..USERS)
            .map(|number| {
                let pulse = Pulse::at(at(0));
                let session = SessionId::next();
                let user = user(&number.to_string());
                tracker.connect(&user, None, reach("a"), session, Arc::clone(&pulse), at(0)).expect("room");
                pulse
            })
            .collect();
        tracker.take_changes(at(0));
        // The sweeps of the time before, as the service makes them.
        for second in 1..=29 {
            tracker.sweep(at(second));
        }
        for (number, pulse) in pulses.iter().enumerate() {
            if number % 100 != 0 {
                pulse.beat(at(29));
            }
        }
        tracker
    };
    let mut group = criterion.benchmark_group("presence");
    group.sample_size(10);
    group.bench_function("expiry among 100,000 users", |b| {
        b.iter_batched(
            crowd,
            |mut tracker| {
                let lost = tracker.sweep(at(31));
                assert_eq!(lost.len(), USERS / 100);
                (tracker, lost)
            },
            BatchSize::PerIteration,
        );
    });
    // What the service does all the time; in step with what changed, not with who is there.
    for users in [1_000, 100_000] {
        let mut tracker = Tracker::new(patience);
        for number in 0..users {
            let (user, pulse) = (user(&number.to_string()), Pulse::at(at(0)));
            tracker.connect(&user, None, reach("a"), SessionId::next(), pulse, at(0)).expect("room");
        }
        tracker.sweep(at(1));
        tracker.take_changes(at(1));
        assert_eq!(tracker.unsaved(at(1)).len(), users);
        group.bench_function(format!("a sweep and a flush without news of {users} users"), |b| {
            b.iter(|| (tracker.sweep(at(2)).len(), tracker.take_changes(at(2)).len(), tracker.unsaved(at(2)).len()));
        });
    }
    group.finish();
}

/// Whether an invitation may ring, and taking both for it.
fn admission(criterion: &mut Criterion) {
    let (caller, from, invite) = (user("7"), device("a"), invite("8"));
    let (call, callees) = (CallId::new(41).expect("a call id"), [user("9")]);
    let engaged = Engagement { call, phase: Phase::Answered, caller: &caller, callees: &callees, device: Some(&from) };
    criterion.bench_function("admission: free", |b| {
        b.iter(|| admit(&caller, Some(&from), black_box(&invite), None, 8));
    });
    criterion.bench_function("admission: engaged", |b| {
        b.iter(|| admit(&caller, Some(&from), black_box(&invite), Some(engaged), 8));
    });
    let mut tracker = Tracker::new(Patience::default());
    let (callee, now) = (user("8"), Moment(0));
    for (who, name) in [(&caller, "a"), (&callee, "b")] {
        tracker.connect(who, None, reach(name), SessionId::next(), Pulse::at(now), now).expect("room");
    }
    criterion.bench_function("reservation: both taken and let go", |b| {
        b.iter(|| {
            tracker.reserve(&caller, call, Some(callee.clone()), now);
            tracker.reserve(&callee, call, Some(caller.clone()), now);
            black_box(tracker.take_changes(now));
            tracker.release(&caller, call, now);
            tracker.release(&callee, call, now);
            black_box(tracker.take_changes(now));
        });
    });
}

criterion_group!(benches, dialects, transitions, presence, admission);
criterion_main!(benches);
