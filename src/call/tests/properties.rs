//! Random interleavings of several calls among a few users.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::world::{SLOTS, Step, World};
use super::*;

fn step() -> impl Strategy<Value = Step> {
    let slot = || 0..SLOTS;
    let kind = prop_oneof![Just(DescriptionKind::Offer), Just(DescriptionKind::Answer)];
    prop_oneof![
        6 => (slot(), slot(), any::<bool>(), any::<bool>())
            .prop_map(|(from, to, offer, glare)| Step::Dial { from, to, offer, glare }),
        2 => (slot(), slot(), slot()).prop_map(|(from, b, c)| Step::DialGroup { from, to: [b, c] }),
        7 => (slot(), any::<bool>(), any::<bool>()).prop_map(|(by, answer, known)| Step::Accept { by, answer, known }),
        2 => slot().prop_map(|by| Step::Decline { by }),
        2 => slot().prop_map(|by| Step::HangUp { by }),
        5 => (slot(), slot(), kind).prop_map(|(by, to, kind)| Step::Describe { by, to, kind }),
        6 => (slot(), slot()).prop_map(|(by, to)| Step::Candidate { by, to }),
        2 => (slot(), slot()).prop_map(|(by, whom)| Step::BringIn { by, whom }),
        3 => slot().prop_map(|device| Step::Drop { device }),
        2 => slot().prop_map(|device| Step::Cut { device }),
        5 => slot().prop_map(|device| Step::Return { device }),
        2 => Just(Step::Replay),
        3 => (0..12u32).prop_map(|seconds| Step::Wait { seconds }),
        1 => (12..40u32).prop_map(|seconds| Step::Wait { seconds }),
        1 => (-4000..4000i32).prop_map(|seconds| Step::WallJump { seconds }),
        1 => (0..3usize).prop_map(|nth| Step::Kill { nth }),
        1 => Just(Step::Restart),
    ]
}

#[test]
fn whatever_happens_the_laws_hold() {
    let config = Config { cases: 3000, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let counted = std::cell::RefCell::new(&mut seen);
    let result = TestRunner::new(config).run(&prop::collection::vec(step(), 1..60), |steps| {
        let mut world = World::new();
        let run = catch_unwind(AssertUnwindSafe(|| {
            steps.iter().for_each(|step| world.step(step));
            world.finish();
        }));
        match run {
            Ok(()) => {
                for (what, times) in world.seen {
                    *counted.borrow_mut().entry(what).or_default() += times;
                }
                Ok(())
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let log = world.log.join("\n");
                Err(TestCaseError::fail(format!("{}\n{log}\n", text.unwrap_or_default())))
            }
        }
    });
    std::panic::set_hook(hook);
    if let Err(error) = result {
        match error {
            proptest::test_runner::TestError::Fail(why, _) => panic!("{why}"),
            abort => panic!("{abort}"),
        }
    }
    // The steps must reach what the laws are about.
    for reason in Reason::ALL {
        let ended = format!("ended {}", reason.as_str());
        assert!(seen.get(&ended).is_some_and(|times| *times > 10), "hardly any call {ended}: {seen:#?}");
    }
    for what in
        ["Glare in Ringing", "Redial in Ringing", "Reload in Answered", "Undelivered in Ended", "Restarted in Answered"]
    {
        assert!(seen.get(what).is_some_and(|times| *times > 2), "hardly any {what}: {seen:#?}");
    }
}
