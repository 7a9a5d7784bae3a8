//! The call page where people bring tokens: by the form, by the address, and when one has expired.

use super::driver::Browser;
use super::page::Page;
use super::phone::talk;
use super::stage::Stage;
use crate::harness::{Service, Store, eventually};

in_browsers!(
    a_token_is_given_in_the_form_and_survives_a_reload,
    a_token_in_the_address_signs_in_and_is_taken_out_of_it,
    a_token_that_does_not_hold_is_asked_for_again,
    a_token_that_expires_is_asked_for_again,
);

async fn jwt(store: &Store) -> Service {
    let settings = [("AUTH__MODE", "jwt"), ("AUTH__JWT_SECRET", super::admin::SECRET), ("AUTH__LEEWAY", "0s")];
    Service::with(store, &settings).await
}

async fn connected(page: &Page) {
    page.until_is("#connection", "data-state", "connected").await;
    page.until_is("body", "data-view", "phone").await;
}

async fn sign_in(page: &Page, user: &str, token: &str) {
    page.fill("#sign-in-user", user).await;
    page.fill("#sign-in-token", token).await;
    page.click("#sign-in button").await;
}

async fn by_form(stage: &Stage, service: &Service, user: &str) -> Page {
    let page = stage.launch(Browser::of(user)).await;
    page.goto(&service.url("/")).await;
    let token = service.token(&["--user", user]).await;
    sign_in(&page, user, &token).await;
    connected(&page).await;
    assert!(!page.eval("location.href").await.to_string().contains(&token), "a token is not for the address");
    page
}

async fn a_token_is_given_in_the_form_and_survives_a_reload(stage: Stage) {
    let service = jwt(&stage.store).await;
    let (anna, ben) = tokio::join!(by_form(&stage, &service, "1"), by_form(&stage, &service, "2"));
    anna.reload().await;
    connected(&anna).await;
    talk(&anna, &ben, "voice").await;
    tokio::join!(anna.hears(), ben.hears());
    anna.click("#hang-up").await;
    ben.learns("completed", "").await;
    // Signed out, the token is forgotten.
    anna.click("#sign-out").await;
    anna.until_shown("#sign-in-token").await;
    anna.reload().await;
    anna.until_shown("#sign-in-token").await;
    let other = service.rest("9").bearer(&service.token(&["--user", "9"]).await);
    eventually("who signed out is gone", async || (other.status_of("1").await == "offline").then_some(())).await;
}

async fn a_token_in_the_address_signs_in_and_is_taken_out_of_it(stage: Stage) {
    let service = jwt(&stage.store).await;
    let page = stage.launch(Browser::of("1")).await;
    let token = service.token(&["--user", "1"]).await;
    page.goto(&service.url(&format!("/#token={token}&user=1"))).await;
    connected(&page).await;
    let address = page.eval("location.href").await.to_string();
    assert!(!address.contains("token"), "{address}");
    page.reload().await;
    connected(&page).await;
    page.until_says("#connection", "1").await;
}

async fn a_token_that_does_not_hold_is_asked_for_again(stage: Stage) {
    let service = jwt(&stage.store).await;
    let page = stage.launch(Browser::of("1")).await;
    page.goto(&service.url("/")).await;
    sign_in(&page, "1", "no token at all").await;
    page.until_is("#problem", "data-code", "unauthorized").await;
    page.until_says("#problem", "Please sign in again").await;
    page.until_shown("#sign-in-token").await;
    // Another's token is one, but not for this.
    sign_in(&page, "1", &service.token(&["--user", "2"]).await).await;
    page.until_is("#problem", "data-code", "forbidden").await;
    page.until_shown("#sign-in-token").await;
    sign_in(&page, "1", &service.token(&["--user", "1"]).await).await;
    connected(&page).await;
    assert!(!page.is_shown("#problem").await);
}

async fn a_token_that_expires_is_asked_for_again(stage: Stage) {
    let service = jwt(&stage.store).await;
    let page = stage.launch(Browser::of("1")).await;
    page.goto(&service.url("/")).await;
    page.until_shown("#sign-in-token").await;
    sign_in(&page, "1", &service.token(&["--user", "1", "--ttl", "16s"]).await).await;
    connected(&page).await;
    page.until_is("#problem", "data-code", "unauthorized").await;
    page.until_shown("#sign-in-token").await;
    page.until_is("#connection", "data-state", "closed").await;
    assert_eq!(page.eval("document.querySelector('#sign-in-user').value").await, "1", "who it is is known");
    sign_in(&page, "1", &service.token(&["--user", "1"]).await).await;
    connected(&page).await;
}
