//! One user of any dialect, doing what its clients do to make a call: what lets one story be told
//! for every pair of dialects.

use serde_json::{Value, json};

use super::rest::{call_id, id};
use super::socket::{candidate, description};
use super::{Rest, Service, Socket};

/// The conversation these calls belong to.
const CONVERSATION: i64 = 123;

/// The kinds of client there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// A browser on `/ws/{user_id}`.
    Users,
    /// A browser on `/ws/{profile_id}/{role}`.
    Profiles,
    /// REST only.
    Polling,
    /// Channels, with nothing but its notification socket: the receiver is on another page.
    Notifications,
    /// Channels, on the chat page: a notification socket and a chat socket.
    Chat,
}

impl Speaks {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Users, Self::Profiles, Self::Polling, Self::Notifications, Self::Chat];
}

/// One user with a client.
pub struct Phone {
    speaks: Speaks,
    /// The user id others call.
    pub user: String,
    rest: Rest,
    /// The socket signalling goes over.
    socket: Option<Socket>,
    /// On the chat page: the notification socket beside it.
    notifications: Option<Socket>,
    call: i64,
}

impl Phone {
    /// A client of that kind for the user of that number. A profile nobody mapped is its own user.
    pub async fn open(service: &Service, speaks: Speaks, number: u32) -> Self {
        let user = match speaks {
            Speaks::Profiles => format!("tutor_{number}"),
            Speaks::Users | Speaks::Polling | Speaks::Notifications | Speaks::Chat => number.to_string(),
        };
        let rest = service.rest(&user);
        let path = |path: String| Socket::dial_path(service, &path, &user);
        let (socket, notifications) = match speaks {
            Speaks::Users => (Some(service.socket(&user).await), None),
            Speaks::Profiles => (Some(path(format!("/ws/{number}/tutor")).open().await), None),
            Speaks::Polling => {
                rest.heartbeat().await;
                (None, None)
            }
            Speaks::Notifications => {
                let mut socket = path("/ws/notifications/".into()).user(&user).open().await;
                socket.expect("connection.ack").await;
                (Some(socket), None)
            }
            Speaks::Chat => {
                let mut notifications = path("/ws/notifications/".into()).user(&user).open().await;
                notifications.expect("connection.ack").await;
                let mut socket = path(format!("/ws/chat/{CONVERSATION}/")).user(&user).open().await;
                socket.expect("connection.ack").await;
                (Some(socket), Some(notifications))
            }
        };
        Self { speaks, user, rest, socket, notifications, call: 0 }
    }

    fn socket(&mut self) -> &mut Socket {
        self.socket.as_mut().expect("this client has a socket")
    }

    /// Where a page of channels hears of calls: its notification socket.
    fn bell(&mut self) -> &mut Socket {
        self.notifications.as_mut().or(self.socket.as_mut()).expect("this client has a socket")
    }

    fn is_channels(&self) -> bool {
        matches!(self.speaks, Speaks::Notifications | Speaks::Chat)
    }

    /// Calls somebody and sends the offer.
    pub async fn call(&mut self, callee: &str) {
        self.call = 0;
        match self.speaks {
            Speaks::Users | Speaks::Profiles => {
                let invitation = json!({
                    "type": "call_invitation", "to_user_id": id(callee), "call_type": "video",
                    "conversation_id": CONVERSATION, "from_name": "Ann", "offer": description("offer"),
                });
                self.socket().send(invitation).await;
            }
            Speaks::Polling => {
                let body = json!({ "callee_id": id(callee), "call_type": "video", "conversation_id": CONVERSATION });
                let reply = self.rest.post("/api/call/initiate", body).await.ok();
                assert_eq!(reply["status"], "ringing", "{reply}");
                self.call = call_id(&reply);
                self.rest.signal(callee, description("offer")).await;
            }
            Speaks::Notifications | Speaks::Chat => {
                let body = json!({ "receiver_id": id(callee), "call_type": "video", "conversation_id": CONVERSATION });
                let reply = self.rest.post("/api/calls/initiate/", body).await;
                assert_eq!(reply.status, 201, "{}", reply.body);
                self.call = reply.body["id"].as_i64().unwrap_or_else(|| panic!("no id: {}", reply.body));
                let (call, user) = (self.call.to_string(), self.user.clone());
                let offer = json!({
                    "type": "call.offer", "call_id": call, "caller_id": user, "caller_username": "Ann",
                    "call_type": "video", "offer": description("offer"),
                });
                self.socket().send(offer).await;
            }
        }
    }

    /// It rings here, with that caller's offer: the call's id.
    pub async fn rung(&mut self, caller: &str) -> i64 {
        match self.speaks {
            Speaks::Users | Speaks::Profiles => {
                let invitation = self.socket().expect("call_invitation").await;
                assert_eq!(invitation["from_user_id"], id(caller), "{invitation}");
                assert_eq!(invitation["call_type"], "video", "{invitation}");
                assert_eq!(invitation["offer"], description("offer"), "{invitation}");
                self.call = call_id(&invitation);
            }
            Speaks::Polling => {
                let incoming = self.rest.mail("incoming_call").await;
                assert_eq!(incoming["caller_id"], id(caller), "{incoming}");
                self.call = call_id(&incoming);
                let offer = self.rest.mail("offer").await;
                assert_eq!(offer["signal"], description("offer"), "{offer}");
            }
            Speaks::Notifications | Speaks::Chat => {
                let created = self.bell().expect("notification.created").await;
                assert_eq!(created["payload"]["verb"], "incoming_video_call", "{created}");
                assert_eq!(created["payload"]["actor"]["id"], *caller, "{created}");
                let offer = self.socket().expect("call.offer").await;
                assert_eq!(offer["caller_id"], *caller, "{offer}");
                assert_eq!(offer["offer"], description("offer"), "{offer}");
                let call = offer["call_id"].as_str().unwrap_or_else(|| panic!("an id that is no text: {offer}"));
                self.call = call.parse().expect("a number");
                if let Some(bell) = &mut self.notifications {
                    bell.expect("call.offer").await;
                }
            }
        }
        self.call
    }

    /// Answers.
    pub async fn answer(&mut self, caller: &str) {
        let call = self.call;
        match self.speaks {
            Speaks::Users | Speaks::Profiles => {
                let answer = json!({
                    "type": "call_answer", "to_user_id": id(caller), "answer": description("answer"),
                });
                self.socket().send(answer).await;
            }
            Speaks::Polling => {
                self.rest.answer(call).await;
                self.rest.signal(caller, description("answer")).await;
            }
            Speaks::Notifications | Speaks::Chat => {
                self.rest.post(&format!("/api/calls/{call}/accept/"), json!({})).await.ok();
                let answer =
                    json!({ "type": "call.answer", "call_id": call.to_string(), "answer": description("answer") });
                self.socket().send(answer).await;
            }
        }
    }

    /// The answer is here.
    pub async fn answered(&mut self, callee: &str) {
        match self.speaks {
            Speaks::Users | Speaks::Profiles => {
                let answer = self.socket().expect("call_answer").await;
                assert_eq!(answer["from_user_id"], id(callee), "{answer}");
                assert_eq!(answer["answer"], description("answer"), "{answer}");
                self.call = call_id(&answer);
            }
            Speaks::Polling => {
                self.rest.mail("call_answered").await;
                let answer = self.rest.mail("answer").await;
                assert_eq!(answer["signal"], description("answer"), "{answer}");
            }
            Speaks::Notifications | Speaks::Chat => {
                let answer = self.socket().expect("call.answer").await;
                assert_eq!(answer["receiver_id"], *callee, "{answer}");
                assert_eq!(answer["answer"], description("answer"), "{answer}");
                if let Some(bell) = &mut self.notifications {
                    bell.expect("call.answer").await;
                }
            }
        }
    }

    /// Sends a candidate.
    pub async fn send_candidate(&mut self, peer: &str, number: usize) {
        let call = self.call;
        match self.speaks {
            Speaks::Users | Speaks::Profiles => self.socket().candidate(peer, number).await,
            Speaks::Polling => {
                let signal = json!({ "type": "ice_candidate", "candidate": candidate(number) });
                self.rest.signal(peer, signal).await;
            }
            Speaks::Notifications | Speaks::Chat => {
                let ice = json!({ "type": "call.ice", "call_id": call.to_string(), "candidate": candidate(number) });
                self.socket().send(ice).await;
            }
        }
    }

    /// The next candidate is the one of that number, as it was sent.
    pub async fn candidate(&mut self, number: usize) {
        let found: Value = match self.speaks {
            Speaks::Users | Speaks::Profiles => self.socket().expect("ice_candidate").await["candidate"].clone(),
            Speaks::Polling => self.rest.mail("ice_candidate").await["signal"]["candidate"].clone(),
            Speaks::Notifications | Speaks::Chat => {
                let found = self.socket().expect("call.ice").await["candidate"].clone();
                if let Some(bell) = &mut self.notifications {
                    bell.expect("call.ice").await;
                }
                found
            }
        };
        assert_eq!(found, candidate(number));
    }

    /// Hangs up.
    pub async fn hang_up(&mut self, peer: &str) {
        let call = self.call;
        match self.speaks {
            Speaks::Users | Speaks::Profiles => self.socket().hang_up(peer).await,
            Speaks::Polling => drop(self.rest.hangup(call).await),
            Speaks::Notifications | Speaks::Chat => {
                self.rest.post(&format!("/api/calls/{call}/end/"), json!({ "duration_seconds": 5 })).await.ok();
            }
        }
    }

    /// Says no.
    pub async fn decline(&mut self, caller: &str) {
        let call = self.call;
        match self.speaks {
            Speaks::Users | Speaks::Profiles => self.socket().decline(caller).await,
            Speaks::Polling => drop(self.rest.reject(call).await),
            Speaks::Notifications | Speaks::Chat => {
                self.rest.post(&format!("/api/calls/{call}/reject/"), json!({})).await.ok();
            }
        }
    }

    /// The other side hung up.
    pub async fn ended(&mut self) {
        self.closed("call_ended").await;
    }

    /// The other side said no.
    pub async fn declined(&mut self) {
        self.closed("call_declined").await;
    }

    async fn closed(&mut self, kind: &str) {
        let call = self.call;
        let closing = match self.speaks {
            Speaks::Users | Speaks::Profiles => self.socket().expect(kind).await,
            Speaks::Polling => self.rest.mail(kind).await,
            Speaks::Notifications | Speaks::Chat => self.bell().expect("call.end").await,
        };
        let expected = if self.is_channels() { json!(call.to_string()) } else { json!(call) };
        // A caller on a socket may learn its call's id only here.
        assert!(call == 0 || closing["call_id"] == expected, "{closing}");
    }

    /// Nothing more has come that a call of its own would bring.
    pub async fn quiet(&mut self) {
        match self.speaks {
            Speaks::Polling => self.rest.no_more_mail().await,
            Speaks::Users | Speaks::Profiles | Speaks::Notifications | Speaks::Chat => {
                self.socket().quiet().await;
                if let Some(bell) = &mut self.notifications {
                    bell.quiet().await;
                }
            }
        }
    }

    /// What the record says of a call once it is over: its status and its duration.
    pub async fn record(&self, call: i64) -> (String, i64) {
        let record = self.rest.final_record(call).await;
        let status = record["status"].as_str().unwrap_or_else(|| panic!("no status: {record}"));
        (status.to_owned(), record["duration_seconds"].as_i64().unwrap_or(-1))
    }
}
