//! Whoever runs the service, on the dashboard: its numbers are the database's, and what they do is done.

use super::driver::Browser;
use super::page::Page;
use super::phone::ANSWER;
use super::stage::Stage;
use crate::harness::socket::connect_call;
use crate::harness::{Service, Socket, Store};

in_browsers!(
    the_numbers_are_those_of_the_database,
    a_live_call_is_ended_from_the_dashboard,
    all_missed_calls_are_marked_as_seen,
    filters_survive_a_reload_and_shape_the_csv,
    a_call_to_the_administrator_rings_on_the_dashboard,
);

pub const SECRET: &str = "a secret of at least thirty-two bytes";

/// Calls on record, and one that goes on.
pub struct Calls {
    pub live: i64,
    _talking: [Socket; 2],
}

/// One call that is live, one completed, one declined, two missed by user 4.
pub async fn some_calls(service: &Service) -> Calls {
    let person = async |user: &'static str| {
        let token = service.token(&["--user", user]).await;
        Socket::dial(service, user).token(&token).open().await
    };
    let (mut one, mut two, mut three) = tokio::join!(person("1"), person("2"), person("3"));
    connect_call((&mut one, "1"), (&mut two, "2")).await;
    one.hang_up("2").await;
    two.expect("call_ended").await;
    one.invite("3").await;
    three.expect("call_invitation").await;
    three.decline("1").await;
    one.expect("call_declined").await;
    for _ in 0..2 {
        three.invite("4").await;
        three.expect("call_declined").await;
    }
    let live = connect_call((&mut one, "1"), (&mut two, "2")).await;
    Calls { live, _talking: [one, two] }
}

/// The dashboard, connected.
pub async fn dashboard(stage: &Stage, service: &Service, path: &str) -> Page {
    let page = stage.launch(Browser::of("9")).await;
    page.goto(&service.url(path)).await;
    page.until_is("#connection", "data-state", "connected").await;
    page
}

async fn number(store: &Store, from: &str, rest: &str) -> String {
    store.open().await.count(from, rest).await.to_string()
}

/// Waits until one of the numbers has this value.
pub async fn shows(page: &Page, name: &str, value: &str) {
    page.until_is(&format!("#overview [data-number={name}]"), "data-value", value).await;
}

async fn the_numbers_are_those_of_the_database(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let calls = some_calls(&service).await;
    let page = dashboard(&stage, &service, "/admin").await;
    page.until_shown(&format!("#live [data-call='{}']", calls.live)).await;
    shows(&page, "active_calls", &number(&stage.store, "calls", "WHERE ended_at IS NULL").await).await;
    shows(
        &page,
        "missed_today",
        &number(&stage.store, "calls", "WHERE reason IN ('offline', 'busy', 'no_answer', 'cancelled')").await,
    )
    .await;
    shows(&page, "in_call", "2").await;
    let answered = page.attribute("#overview [data-number=answer_rate]", "data-value").await.expect("a rate");
    let answered: f64 = answered.parse().expect("a number");
    assert!((answered - 2.0 / 5.0).abs() < 0.001, "two of five calls were answered: {answered}");
    // A further miss shows by itself.
    let mut seven = service.socket("7").await;
    seven.invite("4").await;
    seven.expect("call_declined").await;
    shows(&page, "missed_today", "3").await;

    page.click("nav [data-to=history]").await;
    let rows = stage.store.open().await.count("calls", "").await;
    page.until("every call is listed", "document.querySelectorAll('#history tr[data-call]').length", |now| now == rows)
        .await;
    page.click("nav [data-to=missed]").await;
    page.until("every missed call is listed", "document.querySelectorAll('#missed tr[data-call]').length", |now| {
        now == 3
    })
    .await;
    page.click("nav [data-to=charts]").await;
    page.until_shown("#chart-day svg[role=img]").await;
    page.until_shown("#chart-hour svg[role=img]").await;
    assert!(page.count("#chart-day table tr").await > 1, "a chart is a table, too");
}

async fn a_live_call_is_ended_from_the_dashboard(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let ([anna, ben], admin) = tokio::join!(stage.pair(&service, ["1", "2"]), dashboard(&stage, &service, "/admin"));
    super::phone::talk(&anna, &ben, "voice").await;
    // It appears without anybody asking again.
    admin.click("#live .end").await;
    admin.click("#confirm-yes").await;
    tokio::join!(anna.learns("killed", ""), ben.learns("killed", ""));
    admin.until_gone("#live [data-call]").await;
    shows(&admin, "active_calls", "0").await;
    assert_eq!(super::calls::reasons(&stage.store).await, ["killed"]);
}

async fn all_missed_calls_are_marked_as_seen(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let _calls = some_calls(&service).await;
    let page = dashboard(&stage, &service, "/admin/missed").await;
    page.until_shown("#missed .mark").await;
    page.click("#missed .mark").await;
    page.until("one is left", "document.querySelectorAll('#missed .mark').length", |now| now == 1).await;
    page.click("#mark-all").await;
    page.until("none is left", "document.querySelectorAll('#missed .mark').length", |now| now == 0).await;
    let db = stage.store.open().await;
    assert_eq!(db.count("call_legs", "WHERE missed AND NOT seen").await, 0);
    page.until_gone("#unseen").await;
}

async fn filters_survive_a_reload_and_shape_the_csv(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let _calls = some_calls(&service).await;
    let page = dashboard(&stage, &service, "/admin?view=history").await;
    let listed = "document.querySelectorAll('#history tr[data-call]').length";
    page.until("all calls are listed", listed, |now| now == 5).await;
    page.fill("#filters [name=user]", "4").await;
    page.click("#filters button.primary").await;
    page.until("those of one user are listed", listed, |now| now == 2).await;
    page.reload().await;
    page.until("they still are", listed, |now| now == 2).await;
    assert_eq!(page.eval("document.querySelector('#filters [name=user]').value").await, "4");

    let csv = page.downloads("#csv", &stage.store.file("downloads")).await;
    assert_eq!(csv.lines().count(), 3, "a heading and two calls: {csv}");
}

async fn a_call_to_the_administrator_rings_on_the_dashboard(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let (anna, admin) =
        tokio::join!(stage.open(&service, "1"), dashboard(&stage, &service, "/admin?view=devices&user=1"));
    // Whoever the service makes the administrator where everybody is believed.
    anna.dial("admin", "voice").await;
    admin.rings_for("1").await;
    admin.click(ANSWER).await;
    tokio::join!(anna.call_is("active"), admin.until_shown("switchboard-call >>> #hang-up"));
    // The view behind it goes on, and is as it was afterwards.
    admin.until_shown("#sessions a[href*='call=']").await;
    admin.click("switchboard-call >>> #hang-up").await;
    anna.learns("completed", "").await;
    admin.until_gone("switchboard-call").await;
    admin.until_gone("#sessions a[href*='call=']").await;
    assert_eq!(super::calls::reasons(&stage.store).await, ["completed"]);
}
