//! Golden frames of the profiles dialect.

use super::*;

/// A notice as it is, but from this party.
fn sent_by(mut notice: Notice, party: Party) -> Notice {
    match &mut notice {
        Notice::Incoming(incoming) => incoming.about.caller = party,
        Notice::Description { from, .. } | Notice::Candidate { from, .. } => *from = party,
        Notice::Closed { peer, .. } => *peer = party,
        other => panic!("{other:?}"),
    }
    notice
}

fn as_profile(id: &str, kind: &str, profile: &str) -> Party {
    Party { user: user(id), profile: Some(Profile { kind: kind.into(), id: profile.into() }) }
}

#[test]
fn golden_frames_of_profiles_are_what_the_code_reads_and_writes() {
    let (tutor, student) = (as_profile("7", "tutor", "1"), as_profile("8", "student", "2"));
    let voice = CallType::Voice;
    let ringing = || match incoming(voice, true, true, vec![]) {
        Notice::Incoming(mut incoming) => {
            incoming.about.conversation = Some(ConversationId::parse("123").unwrap());
            Notice::Incoming(incoming)
        }
        other => other,
    };
    for golden in golden("profiles") {
        if golden.inbound {
            for dialect in [profiles(), users()] {
                let parsed = dialect.parse(&golden.frame());
                assert_eq!(inbound_reads_as(&parsed.inbound.unwrap()), golden.doc["reads_as"], "{}", golden.name);
            }
            continue;
        }
        let notice = match golden.name.as_str() {
            "call_invitation" => sent_by(ringing(), student.clone()),
            "call_invitation_from_user" => sent_by(ringing(), user("7").into()),
            "call_answer" => sent_by(described("7", DescriptionKind::Answer, "answer"), tutor.clone()),
            "call_offer" => sent_by(described("7", DescriptionKind::Offer, "offer"), tutor.clone()),
            "ice_candidate" => sent_by(candidate(), student.clone()),
            "ice_candidate_from_user" => candidate(),
            "call_declined" => sent_by(closed("7", Closing::Declined, Reason::Declined, voice, 0), tutor.clone()),
            "call_cancelled" => sent_by(closed("8", Closing::Cancelled, Reason::Cancelled, voice, 0), student.clone()),
            "call_ended" => sent_by(closed("8", Closing::Ended, Reason::Completed, voice, 45), student.clone()),
            name => panic!("{name}"),
        };
        assert_eq!(profiles().render(&notice, Reader::plain(&user("1"))).unwrap(), golden.frame(), "{}", golden.name);
        if !golden.name.ends_with("_from_user") {
            // A profile that calls is named as such to users as well.
            assert_eq!(users().render(&notice, Reader::plain(&user("1"))).unwrap(), golden.frame(), "{}", golden.name);
        }
    }
}
