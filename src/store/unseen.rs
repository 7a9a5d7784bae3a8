//! How many missed calls users have not seen, for many who ask at once: after a restart everybody comes back and
//! wants to know. Whoever asks alone is answered at once; of many the questions gather, and one query answers them all.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::ids::UserId;

use super::{Store, queries};

/// How long questions gather after a query. It is several trips to the database's thread, however many it is about.
const GATHERED_FOR: Duration = Duration::from_millis(2);

/// Who asks, and where the answer goes.
type Question = (UserId, oneshot::Sender<u64>);

/// Where to ask. The answers stop when it is gone.
#[derive(Clone)]
pub struct Unseen {
    questions: mpsc::UnboundedSender<Question>,
}

impl Unseen {
    /// Asks this database, from a task of the current runtime.
    pub fn of(store: Store) -> Self {
        let (questions, asked) = mpsc::unbounded_channel();
        tokio::spawn(keep_answering(store, asked));
        Self { questions }
    }

    /// How many missed calls a user has not seen; `None` where that cannot be found out.
    pub async fn count(&self, user: UserId) -> Option<u64> {
        let (answer, answered) = oneshot::channel();
        self.questions.send((user, answer)).ok()?;
        answered.await.ok()
    }
}

async fn keep_answering(store: Store, mut asked: mpsc::UnboundedReceiver<Question>) {
    let mut questions: Vec<Question> = Vec::new();
    let mut next_query = Instant::now();
    while let Some(first) = asked.recv().await {
        sleep_until(next_query).await;
        questions.push(first);
        while questions.len() < queries::KEYS
            && let Ok(next) = asked.try_recv()
        {
            questions.push(next);
        }
        // Who had to wait too long asks no more.
        questions.retain(|(_, answer)| !answer.is_closed());
        let users: Vec<&UserId> = questions.iter().map(|(user, _)| user).collect();
        match queries::unseen_counts(&store, &users).await {
            Ok(counts) => {
                for (user, answer) in questions.drain(..) {
                    // Whoever asked may be gone.
                    let _ = answer.send(counts.get(&user).copied().unwrap_or(0));
                }
            }
            // Unanswered: it is left out of what they are told.
            Err(_) => questions.clear(),
        }
        next_query = Instant::now() + GATHERED_FOR;
    }
}
