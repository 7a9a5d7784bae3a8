//! `/api/users`: everybody there is, by user id, and how they stand as far as the caller may see that.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Edge;
use super::auth::Caller;
use super::calls::sees_all;
use super::query::{self, known, user_id};
use super::status::viewer;
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::presence::Status;
use crate::router::{Shown, Viewer};
use crate::signal::Refusal;
use crate::store::queries;
use crate::text::kept;

/// How many users a page has when nobody says.
const PAGE: u64 = 100;

/// How many are read from the database at once.
const BATCH: u64 = 500;

/// The longest text looked for, in characters.
const MAX_SOUGHT: usize = 128;

/// How `GET /api/users` is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    q: Option<String>,
    status: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// Which users are listed.
struct Wanted {
    /// Whose id or name has this in it, in lower case.
    sought: Option<String>,
    status: Option<Status>,
    /// How many.
    limit: usize,
}

impl Wanted {
    fn names(&self, user: &UserId, name: Option<&str>) -> bool {
        self.sought.as_deref().is_none_or(|sought| {
            let has = |text: &str| text.to_lowercase().contains(sought);
            has(user.as_str()) || name.is_some_and(has)
        })
    }

    /// Whether only users who are here can be meant.
    fn is_here(&self) -> bool {
        self.status.is_some_and(|status| status != Status::Offline)
    }
}

/// What the database knows of somebody.
#[derive(Default)]
struct Known {
    name: Option<String>,
    last_seen: Option<Timestamp>,
}

/// Somebody on the list.
struct Listed {
    user: UserId,
    known: Known,
    shown: Shown,
    /// Whether the caller may see how they stand.
    visible: bool,
}

/// `GET /api/users`.
pub async fn list(caller: Caller, edge: web::Data<Edge>, query: web::Query<Query>) -> Result<HttpResponse, Refusal> {
    let Caller(identity) = caller;
    let all = sees_all(&identity);
    if !all && !edge.about.directory {
        return Err(Refusal::Forbidden("this service does not list its users".to_owned()));
    }
    let Query { q, status, limit, cursor } = query.into_inner();
    if q.as_ref().is_some_and(|text| text.chars().count() > MAX_SOUGHT) {
        return Err(Refusal::Invalid(format!("q has at most {MAX_SOUGHT} characters")));
    }
    let wanted = Wanted {
        // In the form in which names are kept. PostgreSQL could not look for another.
        sought: q.map(|text| kept(&text).to_lowercase()).filter(|text| !text.is_empty()),
        status: status.map(|text| known("status", &text, Status::parse)).transpose()?,
        limit: query::limit(limit.as_deref(), PAGE)? as usize,
    };
    let after = cursor.as_deref().map(user_id).transpose()?;
    let viewer = viewer(&edge, &identity);
    let mut page = if wanted.is_here() {
        here(&edge, &viewer, &wanted, after.as_ref()).await
    } else {
        everybody(&edge, &viewer, &wanted, after).await?
    };
    let more = page.len() > wanted.limit;
    page.truncate(wanted.limit);
    let next_cursor = page.last().filter(|_| more).map(|last| last.user.to_string());
    let users: Vec<Value> = page.iter().map(|listed| render(&edge, listed, all)).collect();
    Ok(HttpResponse::Ok().json(json!({ "success": true, "users": users, "next_cursor": next_cursor })))
}

/// Looks at somebody as the caller may; `None` where they do not stand as wanted.
fn look(edge: &Edge, viewer: &Viewer, wanted: &Wanted, user: UserId, known: Known) -> Option<Listed> {
    let visible = edge.visibility.shows(&user, viewer);
    let shown = if visible { edge.directory.shown(&user) } else { Shown::default() };
    let stands = wanted.status.is_none_or(|status| status == shown.published.status);
    stands.then_some(Listed { user, known, shown, visible })
}

/// Of those who are here, the page after somebody, and one more if there is one. They are there while the
/// database is away; names it alone knows are missing then.
async fn here(edge: &Edge, viewer: &Viewer, wanted: &Wanted, after: Option<&UserId>) -> Vec<Listed> {
    let mut users = edge.directory.people(|user, _| after.is_none_or(|after| user > after));
    users.sort_unstable();
    let standing = users.into_iter().filter_map(|user| look(edge, viewer, wanted, user, Known::default()));
    // Without a text to look for nobody else's name is needed.
    let enough = if wanted.sought.is_some() { usize::MAX } else { wanted.limit + 1 };
    let mut page: Vec<Listed> = standing.take(enough).collect();
    let nameless: Vec<UserId> =
        page.iter().map(|listed| listed.user.clone()).filter(|user| edge.directory.name_of(user).is_none()).collect();
    let mut names = if edge.writer.healthy() {
        queries::names(&edge.store, &nameless).await.unwrap_or_default()
    } else {
        Default::default()
    };
    for listed in &mut page {
        listed.known.name = names.remove(&listed.user);
    }
    page.retain(|listed| wanted.names(&listed.user, name(edge, listed).as_deref()));
    page.truncate(wanted.limit + 1);
    page
}

/// Of everybody, the page after somebody, and one more if there is one. Who just came is in no table yet.
async fn everybody(
    edge: &Edge,
    viewer: &Viewer,
    wanted: &Wanted,
    mut after: Option<UserId>,
) -> Result<Vec<Listed>, Refusal> {
    let mut page = Vec::new();
    loop {
        let batch = queries::people(&edge.store, wanted.sought.as_deref(), after.as_ref(), BATCH).await?;
        let end = (batch.len() as u64 == BATCH).then(|| batch.last().map(|last| last.user.clone())).flatten();
        let within = |user: &UserId| {
            after.as_ref().is_none_or(|after| user > after) && end.as_ref().is_none_or(|end| user <= end)
        };
        let here = edge.directory.people(|user, name| within(user) && wanted.names(user, name));
        let mut people: BTreeMap<UserId, Known> = here.into_iter().map(|user| (user, Known::default())).collect();
        people.extend(batch.into_iter().map(|row| (row.user, Known { name: row.name, last_seen: row.last_seen })));
        let listed = people.into_iter().filter_map(|(user, known)| look(edge, viewer, wanted, user, known));
        // By the name they are listed with: the database may have an older one, and guesses.
        let listed = listed.filter(|listed| wanted.names(&listed.user, name(edge, listed).as_deref()));
        page.extend(listed.take(wanted.limit + 1 - page.len()));
        if page.len() > wanted.limit || end.is_none() {
            return Ok(page);
        }
        after = end;
    }
}

/// The name somebody was last seen with.
fn name(edge: &Edge, listed: &Listed) -> Option<String> {
    edge.directory.name_of(&listed.user).map(|name| name.to_string()).or_else(|| listed.known.name.clone())
}

fn render(edge: &Edge, listed: &Listed, all: bool) -> Value {
    let Listed { user, known, shown, visible } = listed;
    let now = edge.clock.now();
    let last_seen = shown.last_seen.map(|at| now.wall_at(at)).or(known.last_seen.filter(|_| *visible));
    let mut body = json!({
        "user_id": user.to_json(),
        "name": name(edge, listed),
        "status": shown.published.status.as_str(),
        "online": shown.published.status != Status::Offline,
        "last_seen": last_seen,
        "current_call_with": shown.published.current_call_with.as_ref().map(UserId::to_json),
    });
    if all {
        body["devices"] = edge.directory.devices(user).into();
    }
    body
}
