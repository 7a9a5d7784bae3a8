//! Where a story in browsers is told: a database, the browsers that were opened, and what is looked at when the
//! story is over or has failed.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Semaphore;

use super::driver::{Browser, Driver};
use super::page::Page;
use crate::harness::{self, Kind, Service, Store};

/// Stories in browsers at a time: two of them keep two processors busy.
static SEATS: Semaphore = Semaphore::const_new(2);

/// No story takes this long; a browser that does not answer must not hold up the others.
const WHOLE_STORY: Duration = Duration::from_secs(240);

#[derive(Clone)]
pub struct Stage {
    pub store: Store,
    driver: Arc<Driver>,
    cast: Arc<Mutex<Vec<Page>>>,
}

impl Stage {
    /// A browser of its own, which shows nothing yet.
    pub async fn launch(&self, browser: Browser) -> Page {
        let user = browser.user.clone();
        let (client, pid) = self.driver.launch(&self.store, browser).await;
        let page = Page::new(client, user, pid);
        self.cast.lock().expect("the cast").push(page.clone());
        page
    }

    /// A browser of its own on the call page of a user, connected.
    pub async fn enter(&self, service: &Service, browser: Browser) -> Page {
        let page = self.launch(browser).await;
        page.goto(&service.url(&format!("/?user={}", page.user))).await;
        page.until_is("#connection", "data-state", "connected").await;
        page
    }

    pub async fn open(&self, service: &Service, user: &str) -> Page {
        self.enter(service, Browser::of(user)).await
    }

    pub async fn pair(&self, service: &Service, users: [&str; 2]) -> [Page; 2] {
        tokio::join!(self.open(service, users[0]), self.open(service, users[1])).into()
    }

    fn pages(&self) -> Vec<Page> {
        self.cast.lock().expect("the cast").clone()
    }
}

/// Tells a story, then closes its browsers. A failure comes with what the pages said and a picture of each. A page
/// that has no call any more and still holds something of one is a failure, and so is an error that no page expected.
pub async fn tell<Story: Future<Output = ()>>(kind: Kind, name: &str, story: impl FnOnce(Stage) -> Story) {
    let _seat = SEATS.acquire().await.expect("a seat");
    harness::tell(kind, async |store| {
        let stage = Stage { store, driver: Arc::new(Driver::start().await), cast: Arc::default() };
        let telling = tokio::time::timeout(WHOLE_STORY, async {
            story(stage.clone()).await;
            for page in stage.pages() {
                page.lets_go().await;
            }
        });
        let outcome = AssertUnwindSafe(telling).catch_unwind().await;
        let failed = !matches!(outcome, Ok(Ok(())));
        let (mut mistakes, mut report) = (Vec::new(), String::new());
        for page in stage.pages() {
            if failed {
                report += &format!("{}\n", page.report().await);
                if let Some(picture) = page.picture().await {
                    let kept = keep(&format!("failed/{name}-{}.png", page.user), &picture);
                    report += &format!("--- a picture: {}\n", kept.display());
                }
            } else {
                mistakes.extend(page.mistakes().await);
            }
            page.close().await;
        }
        if failed {
            println!("{report}");
            let why = match &outcome {
                Err(panic) => words(panic.as_ref()),
                Ok(_) => "it did not end in time",
            };
            let log = harness::service::logs(&stage.store);
            keep(&format!("failed/{name}.txt"), format!("{name}: {why}\n{report}{log}").as_bytes());
        }
        match outcome {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(ended) => ended.unwrap_or_else(|_| panic!("the story did not end within {WHOLE_STORY:?}")),
        }
        assert!(mistakes.is_empty(), "a page made mistakes: {mistakes:#?}");
    })
    .await;
}

/// What a story failed with.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words")
}

/// Writes a picture, or what belongs to one, into `target/screenshots`.
pub fn keep(name: &str, content: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/screenshots").join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder of pictures");
    std::fs::write(&path, content).expect("a file");
    path
}
