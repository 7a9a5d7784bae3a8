//! Everybody there is: who is listed, how they look to whom, and who may look.

use serde_json::{Value, json};

use super::admin::admin;
use crate::harness::socket::connect_call;
use crate::harness::{Service, Socket, Store};

on_both!(everybody_is_listed_as_they_may_be_seen, the_directory_is_closed_to_users_where_it_should_be,);

fn ids(page: &Value) -> Vec<String> {
    page["users"].as_array().expect("users").iter().map(|user| user["user_id"].to_string()).collect()
}

async fn everybody_is_listed_as_they_may_be_seen(store: Store) {
    let service = Service::with(&store, &[("PRESENCE__VISIBILITY", "nobody")]).await;
    let admin = admin(&service);
    let (mut anna, mut ben) = (service.socket("1").await, service.socket("2").await);
    let call = connect_call((&mut anna, "1"), (&mut ben, "2")).await;
    let token = service.rest("x").post("/api/dev/token", json!({ "user": "x", "name": "Xénia 50%" })).await.ok();
    let _xenia = Socket::dial(&service, "x").token(token["token"].as_str().expect("a token")).open().await;
    let all = admin.get("/api/users").await.ok();
    assert_eq!(ids(&all), ["1", "2", "\"x\""]);
    let first = &all["users"][0];
    assert_eq!((&first["status"], &first["online"], &first["devices"]), (&json!("in_call"), &json!(true), &json!(1)));
    assert_eq!((&first["name"], &first["current_call_with"]), (&json!("Somebody"), &json!(2)));
    assert_eq!(all["users"][2]["name"], "Xénia 50%");
    // Page by page.
    let one = admin.get("/api/users?limit=2").await.ok();
    assert_eq!((ids(&one).len(), &one["next_cursor"]), (2, &json!("2")));
    let two = admin.get("/api/users?limit=2&cursor=2").await.ok();
    assert_eq!((ids(&two), &two["next_cursor"]), (vec!["\"x\"".to_owned()], &Value::Null));
    let found = async |query: &str| ids(&admin.get(&format!("/api/users?{query}")).await.ok());
    assert_eq!(found("q=50%25").await, ["\"x\""]);
    assert_eq!(found("q=SOME").await, ["1"]);
    assert_eq!(found("q=SOME&status=in_call").await, ["1"]);
    assert_eq!(found("q=_").await, [""; 0]);
    assert_eq!(found("q=X%C3%89NIA").await, ["\"x\""]);
    assert_eq!(found("status=in_call").await, ["1", "2"]);
    assert_eq!(found("status=in_call&limit=1&cursor=1").await, ["2"]);
    assert_eq!(found("status=online").await, ["\"x\""]);
    assert_eq!(found("status=offline").await, [""; 0]);
    // Others see themselves, and that there are others.
    let seen = service.rest("1").get("/api/users").await.ok();
    assert_eq!(seen["users"][0]["status"], "in_call");
    assert_eq!((&seen["users"][1]["status"], &seen["users"][1]["last_seen"]), (&json!("offline"), &Value::Null));
    assert!(seen["users"][1]["devices"].is_null(), "{seen}");
    let offline = service.rest("1").get("/api/users?status=offline").await.ok();
    assert_eq!(ids(&offline), ["2", "\"x\""]);
    for query in ["limit=0", "limit=201", "cursor=a%20b", "status=away", "x=1"] {
        service.rest("1").get(&format!("/api/users?{query}")).await.refused(400);
    }
    admin.post(&format!("/api/admin/calls/{call}/kill"), json!({})).await.ok();
}

async fn the_directory_is_closed_to_users_where_it_should_be(store: Store) {
    let service = Service::with(&store, &[("PRESENCE__DIRECTORY", "closed")]).await;
    assert_eq!(service.rest("1").get("/api/users").await.refused(403)["code"], "forbidden");
    assert_eq!(service.rest("1").get("/api/about").await.ok()["directory"], false);
    admin(&service).get("/api/users").await.ok();
    service.rest("1").role("service").get("/api/users").await.ok();
}
