//! What whoever runs the service does on the dashboard, and what it shows of a service that is away.

use super::admin::{SECRET, dashboard, shows};
use super::calls::reasons;
use super::driver::Browser;
use super::phone::RING;
use super::stage::Stage;
use crate::harness::{Service, Socket};

in_browsers!(
    a_device_is_closed_and_stays_away,
    a_call_that_rings_is_ended,
    a_service_that_is_away_makes_the_numbers_old,
    a_token_that_is_no_administrators_opens_nothing,
);

async fn a_device_is_closed_and_stays_away(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let (desk, admin) =
        tokio::join!(stage.open(&service, "2"), dashboard(&stage, &service, "/admin?view=devices&user=2"));
    admin.until_shown("#sessions .close").await;
    let session = admin.attribute("#sessions [data-session]", "data-session").await.expect("the session of the desk");
    let sofa = stage.open(&service, "2").await;
    admin.until("both are listed", "document.querySelectorAll('#sessions .close').length", |now| now == 2).await;
    let close = format!("#sessions [data-session='{session}'] .close");
    admin.click(&close).await;
    admin.click("#confirm-no").await;
    assert_eq!(desk.attribute("#connection", "data-state").await.as_deref(), Some("connected"), "not yet");
    admin.click(&close).await;
    admin.click("#confirm-yes").await;
    desk.until_is("#problem", "data-code", "forbidden").await;
    desk.until_says("#problem", "an administrator closed this connection").await;
    desk.until_is("#connection", "data-state", "closed").await;
    admin.until_gone(&close).await;
    // It does not come back by itself, not even when the browser says that there is a network again.
    desk.eval("window.dispatchEvent(new Event('online'))").await;
    let mut caller = service.socket("1").await;
    caller.invite("2").await;
    sofa.rings_for("Somebody").await;
    assert!(!desk.is_shown(RING).await, "a closed device does not ring");
    assert_eq!(desk.attribute("#connection", "data-state").await.as_deref(), Some("closed"));
    caller.cancel("2").await;
    sofa.until_gone(RING).await;
}

async fn a_call_that_rings_is_ended(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let ([anna, ben], admin) = tokio::join!(stage.pair(&service, ["1", "2"]), dashboard(&stage, &service, "/admin"));
    anna.dial("2", "video").await;
    ben.rings_for("1").await;
    shows(&admin, "active_calls", "1").await;
    admin.click("#live .end").await;
    admin.click("#confirm-yes").await;
    anna.learns("killed", "").await;
    ben.until_gone(RING).await;
    // To whom it rang it is a call that did not come about, whoever ended it.
    ben.learns("cancelled", "Missed call from 1").await;
    shows(&admin, "active_calls", "0").await;
    assert_eq!(reasons(&stage.store).await, ["killed"]);
}

async fn a_service_that_is_away_makes_the_numbers_old(stage: Stage) {
    let mut service = Service::start(&stage.store).await;
    let one = service.socket("1").await;
    let page = dashboard(&stage, &service, "/admin").await;
    shows(&page, "online", "2").await;
    page.until_gone("#stale").await;
    service.kill9().await;
    page.until_is("#connection", "data-state", "reconnecting").await;
    page.until_shown("#stale").await;
    // What was known last is still there, and it is said of when it is.
    let number = page.attribute("#overview [data-number=online]", "data-value").await;
    assert_eq!(number.as_deref(), Some("2"));
    drop(one);
    service.start_again().await;
    page.until_gone("#stale").await;
    page.until_is("#connection", "data-state", "connected").await;
    // Only the dashboard itself is there now.
    shows(&page, "online", "1").await;
}

async fn a_token_that_is_no_administrators_opens_nothing(stage: Stage) {
    let service = Service::with(&stage.store, &[("AUTH__MODE", "jwt"), ("AUTH__JWT_SECRET", SECRET)]).await;
    let page = stage.launch(Browser::of("9")).await;
    let token = service.token(&["--user", "5"]).await;
    let someone = Socket::dial(&service, "5").token(&token).open().await;
    page.goto(&service.url(&format!("/admin#token={token}"))).await;
    page.until_shown("#forbidden").await;
    assert!(!page.eval("location.href").await.to_string().contains(&token));
    assert!(!page.is_shown("#inside").await);
    page.click("#other-token").await;
    page.fill("#sign-in-token", "no token at all").await;
    page.click("#sign-in button").await;
    // The page begins anew; the field the bad token was typed into is gone.
    let anew = "__look.shown('#sign-in-token') && __look.find('#sign-in-token').value === ''";
    page.until("another token is asked for", anew, |now| now == true).await;
    let token = service.token(&["--user", "9", "--role", "admin"]).await;
    page.fill("#sign-in-token", &token).await;
    page.click("#sign-in button").await;
    page.until_is("#connection", "data-state", "connected").await;
    shows(&page, "online", "2").await;
    page.reload().await;
    page.until_is("#connection", "data-state", "connected").await;
    drop(someone);
}
