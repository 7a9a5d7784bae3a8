//! Ids and tokens as applications have them, on the call page and the dashboard.

use serde_json::{Value, json};

use super::driver::Browser;
use super::page::{Page, quoted};
use super::phone::{ANSWER, DECLINE};
use super::stage::Stage;
use crate::harness::{Service, encoded};

in_browsers!(
    people_with_the_ids_they_have_call_each_other,
    a_token_that_names_its_user_in_another_claim_signs_in,
    what_is_no_id_is_not_dialled,
);

const ANNA: &str = "auth0|5f7c8ec7";
const BEN: &str = "CN=Ben,OU=a/b";
const CLEO: &str = "Ωmega";
const DAN: &str = "dan+calls@example.com";

/// Goes to an address, and is connected there.
async fn go(page: &Page, service: &Service, path: String) {
    page.goto(&service.url(&path)).await;
    page.until_is("#connection", "data-state", "connected").await;
}

/// A browser on an address, connected.
async fn enter(stage: &Stage, service: &Service, number: &str, path: &str) -> Page {
    let page = stage.launch(Browser::of(number)).await;
    go(&page, service, path.to_owned()).await;
    page
}

async fn call_page(stage: &Stage, service: &Service, number: &str, user: &str) -> Page {
    enter(stage, service, number, &format!("/?user={}", encoded(user))).await
}

async fn callees(service: &Service) -> Vec<Value> {
    let calls = service.rest("9").role("admin").get("/api/calls").await.ok();
    calls["calls"].as_array().expect("calls").iter().map(|call| call["callee_ids"].clone()).collect()
}

async fn people_with_the_ids_they_have_call_each_other(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let (anna, ben, cleo) = tokio::join!(
        call_page(&stage, &service, "1", ANNA),
        call_page(&stage, &service, "2", BEN),
        call_page(&stage, &service, "3", CLEO),
    );
    // One whose id has a comma, in quotes; without a token REST is told who asks, too.
    anna.dial(&format!("\"{BEN}\""), "voice").await;
    ben.rings_for(ANNA).await;
    ben.click(ANSWER).await;
    tokio::join!(anna.call_is("active"), ben.call_is("active"));
    tokio::join!(anna.hears(), ben.hears());
    anna.until_shown(&format!(".tile[data-user={}]", quoted(BEN))).await;
    ben.click("#hang-up").await;
    anna.learns("completed", "").await;
    anna.until_says("#history", BEN).await;
    // After a reload it is the same person, who calls the same by the history, and several with commas.
    anna.reload().await;
    anna.until_is("#connection", "data-state", "connected").await;
    anna.until_says("#connection", ANNA).await;
    anna.click("#history .redial").await;
    ben.rings_for(ANNA).await;
    ben.click(DECLINE).await;
    anna.learns("declined", "").await;
    anna.dial(&format!("{CLEO}, {DAN}"), "voice").await;
    cleo.rings_for(ANNA).await;
    cleo.click(DECLINE).await;
    anna.call_is("ended").await;
    assert_eq!(callees(&service).await, [json!([CLEO, DAN]), json!([BEN]), json!([BEN])]);

    let admin = enter(&stage, &service, "4", "/admin?view=devices").await;
    admin.click(&format!("#users a[href$={}]", quoted(&format!("devices&user={}", encoded(BEN))))).await;
    admin
        .until("his one device is listed", "document.querySelectorAll('#sessions tbody tr').length", |now| now == 1)
        .await;
    admin.until_says("#sessions tbody", BEN).await;
    admin.click("#users a[href$='history&user=dan%2Bcalls%40example.com']").await;
    admin
        .until("their one call is listed", "document.querySelectorAll('#history tr[data-call]').length", |now| now == 1)
        .await;
    admin.until_says("#history tbody", CLEO).await;
    assert_eq!(admin.eval("document.querySelector('#filters [name=user]').value").await, DAN);
    admin.reload().await;
    admin.until_says("#history tbody", DAN).await;
}

async fn a_token_that_names_its_user_in_another_claim_signs_in(stage: Stage) {
    let (page, admin) = tokio::join!(stage.launch(Browser::of("1")), stage.launch(Browser::of("2")));
    for (claim, user) in [("user_id", "7"), ("https://app.example.com/who", CLEO), ("who.id", BEN)] {
        let settings = [("AUTH__MODE", "jwt"), ("AUTH__JWT_SECRET", super::admin::SECRET), ("AUTH__USER_CLAIM", claim)];
        let service = Service::with(&stage.store, &settings).await;
        let token = service.token(&["--user", user, "--role", "admin"]).await;
        tokio::join!(
            go(&page, &service, format!("/#token={token}")),
            go(&admin, &service, format!("/admin#token={token}"))
        );
        page.until_says("#connection", user).await;
        admin.click("nav [data-to=devices]").await;
        admin
            .until("both are this user's", "document.querySelectorAll('#sessions tbody tr').length", |now| now == 2)
            .await;
        admin.until_says("#sessions tbody", user).await;
    }
}

async fn what_is_no_id_is_not_dialled(stage: Stage) {
    let service = Service::start(&stage.store).await;
    let page = call_page(&stage, &service, "1", "1").await;
    let valid = "document.querySelector('#callee').validity.customError";
    for bad in [".", "2, ..", &"x".repeat(129)] {
        page.fill("#callee", bad).await;
        page.click("#call-voice").await;
        assert_eq!(page.eval(valid).await, true, "{bad}");
    }
    page.fill("#callee", &"語".repeat(85)).await;
    assert_eq!(page.eval(valid).await, false);
    page.click("#call-voice").await;
    page.learns("offline", "").await;
}
