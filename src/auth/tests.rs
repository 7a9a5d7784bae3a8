//! Which tokens hold and which do not, per algorithm, with keys from `tests/fixtures/keys`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm as Jws, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use crate::config::{Secret, Settings};
use crate::ids::UserId;

const SECRET: &str = "a secret of at least thirty-two bytes";
const ASYMMETRIC: [(Algorithm, Jws, &str); 3] = [
    (Algorithm::RS256, Jws::RS256, "rs256"),
    (Algorithm::ES256, Jws::ES256, "es256"),
    (Algorithm::EdDSA, Jws::EdDSA, "eddsa"),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys").join(name)
}

fn private(name: &str) -> EncodingKey {
    let pem = std::fs::read(fixture(&format!("{name}.private.pem"))).unwrap();
    match name {
        "rs256" => EncodingKey::from_rsa_pem(&pem),
        "es256" => EncodingKey::from_ec_pem(&pem),
        _ => EncodingKey::from_ed_pem(&pem),
    }
    .unwrap()
}

fn jwt(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::defaults().unwrap();
    settings.auth.mode = AuthMode::Jwt;
    settings.auth.jwt_secret = Some(Secret::new(SECRET));
    change(&mut settings);
    settings
}

fn public(algorithm: Algorithm, name: &str) -> Settings {
    jwt(|settings| {
        settings.auth.algorithm = algorithm;
        settings.auth.jwt_secret = None;
        settings.auth.public_key_file = Some(fixture(&format!("{name}.public.pem")));
    })
}

fn authenticator(settings: &Settings) -> Authenticator {
    Authenticator::new(settings, Clock::new()).unwrap()
}

/// The time `offset` seconds from now, as tokens write it.
fn at(offset: i64) -> i64 {
    Clock::new().now().wall.timestamp() + offset
}

fn claims() -> Value {
    json!({ "sub": 7, "exp": at(60) })
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[claim] = value;
    claims
}

fn hs256(claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

fn without_signature(header: Value, claims: &Value) -> String {
    format!("{}.{}.", base64_url(header.to_string().as_bytes()), base64_url(claims.to_string().as_bytes()))
}

/// base64url without padding; the crate that knows it is not among ours.
fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}

#[actix_web::test]
async fn a_sound_token_says_who_its_bearer_is() {
    let auth = authenticator(&jwt(|_| {}));
    let identity = auth.verify(&hs256(&claims())).await.unwrap();
    assert_eq!(identity.user.as_str(), "7");
    assert_eq!((identity.role, identity.conversations, identity.name), (Role::User, None, None));
    let full = json!({
        "sub": "ann", "name": "Ann", "role": "service", "exp": at(60) as f64 + 0.5,
        "profiles": [{"type": "tutor", "id": 1}, {"type": "wizard", "id": 2}], "conversations": [3, "c"],
    });
    let identity = auth.verify(&hs256(&full)).await.unwrap();
    assert_eq!(identity.profiles, [("tutor".to_owned(), "1".to_owned())], "there are no wizards here");
    assert_eq!(identity.conversations, Some(vec!["3".to_owned(), "c".to_owned()]));
    assert_eq!((identity.role, identity.name.as_deref()), (Role::Service, Some("Ann")));
}

/// What a refusal is, without its sentence.
#[derive(Debug, PartialEq, Eq)]
enum Why {
    Expired,
    Claim,
    Bad,
}

fn why(rejected: &Rejected) -> Why {
    match rejected {
        Rejected::Expired(_) => Why::Expired,
        Rejected::Claim(_) => Why::Claim,
        Rejected::Bad(_) | Rejected::NoKeys => Why::Bad,
    }
}

#[actix_web::test]
async fn what_does_not_hold_is_refused() {
    let auth = authenticator(&jwt(|_| {}));
    let other = EncodingKey::from_secret(b"another secret of thirty-two bytes!!");
    let sound = hs256(&claims());
    let [header, _, signature] = sound.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let admin = base64_url(with("role", json!("admin")).to_string().as_bytes());
    for (what, token, expected) in [
        ("expired", hs256(&with("exp", json!(at(-60)))), Why::Expired),
        ("exp before time", hs256(&with("exp", json!(-5))), Why::Expired),
        ("other secret", encode(&Header::default(), &claims(), &other).unwrap(), Why::Bad),
        (
            "HS384",
            encode(&Header::new(Jws::HS384), &claims(), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap(),
            Why::Bad,
        ),
        ("changed", format!("{header}.{admin}.{signature}"), Why::Bad),
        ("none", without_signature(json!({"alg": "none", "typ": "JWT"}), &claims()), Why::Bad),
        ("no signature", without_signature(json!({"alg": "HS256"}), &claims()), Why::Bad),
        ("nothing", String::new(), Why::Bad),
        ("no token", "abc".to_owned(), Why::Bad),
        ("huge", format!("{sound}{}", "A".repeat(9000)), Why::Bad),
    ] {
        let rejected = auth.verify(&token).await.unwrap_err();
        assert_eq!(why(&rejected), expected, "{what}");
        assert_eq!(rejected.is_guess(), expected == Why::Bad, "{what}");
    }
    // The helper that forges must be able to make a token that holds, or it proves nothing.
    assert_eq!(base64_url(&[0xfb, 0xff, 0xfe, 0x01]), "-__-AQ");
    assert!(auth.verify(&hs256(&with("nbf", json!(at(-1))))).await.is_ok());
}

#[actix_web::test]
async fn a_token_whose_claims_do_not_hold_says_which_and_why() {
    let auth = authenticator(&jwt(|settings| {
        settings.auth.issuer = Some("the issuer we know".to_owned());
        settings.auth.audience = Some("the audience we are".to_owned());
    }));
    let sound = json!({ "sub": 7, "exp": at(60), "iss": "the issuer we know", "aud": "the audience we are" });
    auth.verify(&hs256(&sound)).await.unwrap();
    for (claim, value, says) in [
        ("exp", Value::Null, "the token has no claim \"exp\""),
        ("exp", json!(at(60).to_string()), "the token's claim \"exp\" must be a number of seconds since 1970"),
        ("exp", json!(at(60) * 1000), "(not of milliseconds)"),
        ("exp", json!(1e300), "the token's claim \"exp\" must be"),
        ("nbf", json!(at(60)), "does not hold yet, by its claim \"nbf\""),
        ("nbf", json!("soon"), "the token's claim \"nbf\" must be"),
        ("sub", Value::Null, "the token has no claim \"sub\""),
        ("sub", json!("a b"), "the token's claim \"sub\" is no user id: a user id must be 1 to 128 characters"),
        ("sub", json!("guest:1"), "the token's claim \"sub\" is no user id: a user id must not begin with"),
        ("sub", json!(7.5), "the token's claim \"sub\" is no user id"),
        ("name", json!(7), "the token's claim \"name\" must be a text"),
        ("profiles", json!("tutor"), "the token's claim \"profiles\" must be a list of"),
        ("profiles", json!([{"type": "tutor"}]), "the token's claim \"profiles\" must be a list of"),
        (
            "profiles",
            json!([{"type": "tutor", "id": "a b"}]),
            "the token's claim \"profiles\" holds an id that is none",
        ),
        ("conversations", json!(12), "the token's claim \"conversations\" must be a list"),
        ("conversations", json!([""]), "the token's claim \"conversations\" holds an id that is none"),
        ("iss", Value::Null, "the token has no claim \"iss\""),
        ("iss", json!("x"), "the token's claim \"iss\" is not the issuer"),
        ("aud", json!(["x"]), "the token's claim \"aud\" does not name this service"),
    ] {
        let mut claims = sound.clone();
        claims[claim] = value.clone();
        let rejected = auth.verify(&hs256(&claims)).await.unwrap_err();
        assert_eq!(why(&rejected), Why::Claim, "{claim} {value}: {rejected}");
        let said = rejected.to_string();
        assert!(said.contains(says), "{claim} {value}: {said}");
        assert!(!said.contains("we know") && !said.contains("we are"), "{said}");
    }
    // A key that did not sign it knows nothing of its claims.
    let other = EncodingKey::from_secret(b"another secret of thirty-two bytes!!");
    let forged = encode(&Header::default(), &json!({ "exp": 0 }), &other).unwrap();
    assert_eq!(why(&auth.verify(&forged).await.unwrap_err()), Why::Bad);
}

#[actix_web::test]
async fn tokens_as_issuers_make_them_are_read_by_configuration_alone() {
    // What Auth0, Keycloak, Django's SimpleJWT, Firebase and an application's own code put into a token.
    type Change = fn(&mut Settings);
    let auth0: Change = |settings| settings.auth.role_claim = "https://app.example.com/roles".to_owned();
    let keycloak: Change = |settings| {
        settings.auth.name_claim = "preferred_username".to_owned();
        settings.auth.role_claim = "realm_access.roles".to_owned();
        settings.auth.admin_values = vec!["calls-admin".to_owned()];
    };
    let simple: Change = |settings| settings.auth.user_claim = "user_id".to_owned();
    let flags: Change = |settings| {
        settings.auth.role_claim = "is_staff".to_owned();
        settings.auth.admin_values = vec!["true".to_owned()];
    };
    let plain: Change = |_| {};
    for (settings, claims, user, role, name) in [
        (
            auth0,
            json!({"sub": "auth0|5f7c", "https://app.example.com/roles": ["admin"]}),
            "auth0|5f7c",
            Role::Admin,
            None,
        ),
        (
            keycloak,
            json!({"sub": "b1f0", "preferred_username": "ann", "realm_access": {"roles": ["offline_access", "calls-admin"]}}),
            "b1f0",
            Role::Admin,
            Some("ann"),
        ),
        (keycloak, json!({"sub": "b1f0", "realm_access": null, "realm_access.roles": null}), "b1f0", Role::User, None),
        (keycloak, json!({"sub": "b1f0", "realm_access": "none"}), "b1f0", Role::User, None),
        (simple, json!({"token_type": "access", "jti": "x", "user_id": 7}), "7", Role::User, None),
        (flags, json!({"sub": "7", "is_staff": true}), "7", Role::Admin, None),
        (plain, json!({"sub": "Ωmega", "role": "student", "name": null}), "Ωmega", Role::User, None),
        (plain, json!({"sub": "7", "role": "ADMIN", "name": "A\0da"}), "7", Role::User, Some("A\u{fffd}da")),
        (plain, json!({"sub": "7", "role": ["service", "admin"]}), "7", Role::Admin, None),
        (plain, json!({"sub": "7", "role": [null, {"admin": 1}, "service"]}), "7", Role::Service, None),
        (plain, json!({"sub": "7", "profiles": null, "conversations": null, "role": null}), "7", Role::User, None),
    ] {
        let auth = authenticator(&jwt(settings));
        let mut claims = claims;
        // The year 9999: "never".
        claims["exp"] = json!(253402300799i64);
        let identity = auth.verify(&hs256(&claims)).await.unwrap_or_else(|why| panic!("{claims}: {why}"));
        assert_eq!((identity.user.as_str(), identity.role, identity.name.as_deref()), (user, role, name), "{claims}");
    }
}

#[actix_web::test]
async fn what_is_minted_is_written_as_it_is_read() {
    for (user_claim, name_claim, role_claim) in [
        ("sub", "name", "role"),
        ("user_id", "profile.display_name", "realm_access.roles"),
        ("https://app.example.com/id", "https://app.example.com/name", "https://app.example.com/roles"),
        // Names that stand in each other's way are still written so that they are found.
        ("user", "user.name", "user.name.role"),
    ] {
        let auth = authenticator(&jwt(|settings| {
            settings.auth.user_claim = user_claim.to_owned();
            settings.auth.name_claim = name_claim.to_owned();
            settings.auth.role_claim = role_claim.to_owned();
            settings.auth.admin_values = vec!["boss".to_owned(), "admin".to_owned()];
        }));
        let identity = {
            let grant = Grant { name: Some("Ann".to_owned()), role: Role::Admin, ..grant() };
            auth.verify(&auth.mint(&grant).unwrap()).await.unwrap()
        };
        assert_eq!((identity.user.as_str(), identity.role), ("7", Role::Admin), "{user_claim}");
        assert_eq!(identity.name.as_deref(), Some("Ann"), "{name_claim}");
    }
    let nobody = authenticator(&jwt(|settings| settings.auth.service_values.clear()));
    assert!(nobody.mint(&Grant { role: Role::Service, ..grant() }).unwrap_err().contains("auth.service_values"));
}

#[actix_web::test]
async fn a_clock_a_little_off_is_forgiven() {
    let auth = authenticator(&jwt(|settings| settings.auth.leeway = Duration::from_secs(30)));
    assert!(auth.verify(&hs256(&with("exp", json!(at(-20))))).await.is_ok());
    assert!(auth.verify(&hs256(&with("nbf", json!(at(20))))).await.is_ok());
    assert_eq!(why(&auth.verify(&hs256(&with("exp", json!(at(-40))))).await.unwrap_err()), Why::Expired);
    assert_eq!(why(&auth.verify(&hs256(&with("nbf", json!(at(40))))).await.unwrap_err()), Why::Claim);
}

#[actix_web::test]
async fn issuer_and_audience_are_checked_when_configured() {
    let open = authenticator(&jwt(|_| {}));
    assert!(open.verify(&hs256(&with("aud", json!("whoever")))).await.is_ok(), "nobody asked for an audience");
    let strict = authenticator(&jwt(|settings| {
        settings.auth.issuer = Some("app".to_owned());
        settings.auth.audience = Some("calls".to_owned());
    }));
    let token = |iss: Value, aud: Value| hs256(&json!({ "sub": 7, "exp": at(60), "iss": iss, "aud": aud }));
    assert!(strict.verify(&token(json!("app"), json!("calls"))).await.is_ok());
    assert!(strict.verify(&token(json!("app"), json!(["x", "calls"]))).await.is_ok());
    for (iss, aud) in [("app", "x"), ("x", "calls")] {
        assert!(strict.verify(&token(json!(iss), json!(aud))).await.is_err(), "{iss} {aud}");
    }
    assert!(strict.verify(&hs256(&claims())).await.is_err(), "neither is there");
    assert!(strict.verify(&token(json!("app"), Value::Null)).await.is_err());
    // And what we mint ourselves says both.
    assert!(strict.verify(&strict.mint(&grant()).unwrap()).await.is_ok());
}

fn grant() -> Grant {
    let user = UserId::parse("7").unwrap();
    let ttl = Duration::from_secs(60);
    Grant { user, name: None, role: Role::User, profiles: Vec::new(), conversations: None, ttl }
}

#[actix_web::test]
async fn public_keys_check_their_own_algorithm_and_no_other() {
    for (algorithm, _, name) in ASYMMETRIC {
        let auth = authenticator(&public(algorithm, name));
        for (_, jws, signer) in ASYMMETRIC {
            let token = encode(&Header::new(jws), &claims(), &private(signer)).unwrap();
            assert_eq!(auth.verify(&token).await.is_ok(), name == signer, "{signer} token, {name} key");
        }
        // The old trick: sign with HMAC, the public key as the secret.
        let pem = std::fs::read(fixture(&format!("{name}.public.pem"))).unwrap();
        let forged = encode(&Header::default(), &claims(), &EncodingKey::from_secret(&pem)).unwrap();
        assert!(auth.verify(&forged).await.is_err(), "{name}");
        assert!(auth.mint(&grant()).unwrap_err().contains("public keys"), "{name}");
    }
}

#[test]
fn a_key_that_is_none_is_told_in_a_sentence() {
    let wrong = public(Algorithm::ES256, "rs256");
    let missing = public(Algorithm::ES256, "nobody");
    for settings in [wrong, missing] {
        let sentence = Authenticator::new(&settings, Clock::new()).err().unwrap();
        assert!(sentence.starts_with("auth.public_key_file"), "{sentence}");
    }
}

/// A JWKS of the three keys, as `kid` names them.
fn jwks(names: &[(&str, &str)]) -> Value {
    let keys: Vec<Value> = names
        .iter()
        .map(|(name, kid)| {
            let jws = ASYMMETRIC.iter().find(|(_, _, n)| n == name).unwrap().1;
            let mut jwk = Jwk::from_encoding_key(&private(name), jws).unwrap();
            jwk.common.key_id = Some((*kid).to_owned());
            serde_json::to_value(jwk).unwrap()
        })
        .collect();
    json!({ "keys": keys })
}

fn named(jws: Jws, name: &str, kid: Option<&str>) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(jws) };
    encode(&header, &claims(), &private(name)).unwrap()
}

fn from_jwks(algorithm: Algorithm, place: &str) -> Settings {
    jwt(|settings| {
        settings.auth.algorithm = algorithm;
        settings.auth.jwt_secret = None;
        settings.auth.jwks = Some(place.to_owned());
    })
}

#[actix_web::test]
async fn a_jwks_file_is_used_by_key_id_and_read_again_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jwks.json");
    std::fs::write(&path, jwks(&[("rs256", "r"), ("es256", "e"), ("eddsa", "d")]).to_string()).unwrap();
    let place = path.to_str().unwrap();
    for (algorithm, jws, name) in ASYMMETRIC {
        let auth = authenticator(&from_jwks(algorithm, place));
        let kid = if name == "eddsa" { "d" } else { &name[..1] };
        assert!(auth.verify(&named(jws, name, Some(kid))).await.is_ok(), "{name} by its key id");
        assert!(auth.verify(&named(jws, name, None)).await.is_ok(), "{name} without a key id");
    }
    let auth = authenticator(&from_jwks(Algorithm::ES256, place));
    std::fs::write(&path, jwks(&[("es256", "new")]).to_string()).unwrap();
    assert!(auth.verify(&named(Jws::ES256, "es256", Some("new"))).await.is_ok(), "the unknown id made it read again");
    assert!(auth.verify(&named(Jws::ES256, "es256", Some("e"))).await.is_err(), "the old id is gone");
    // Within ten seconds it is not read for another unknown id.
    std::fs::write(&path, jwks(&[("es256", "newer")]).to_string()).unwrap();
    assert!(auth.verify(&named(Jws::ES256, "es256", Some("newer"))).await.is_err());
}

#[actix_web::test]
async fn a_token_that_was_kept_is_checked_again_when_the_keys_are_read_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jwks.json");
    std::fs::write(&path, jwks(&[("es256", "e")]).to_string()).unwrap();
    let auth = authenticator(&from_jwks(Algorithm::ES256, path.to_str().unwrap()));
    let token = named(Jws::ES256, "es256", Some("e"));
    assert!(auth.recall(&token).is_none(), "nobody showed it yet");
    auth.verify(&token).await.unwrap();
    assert!(auth.recall(&token).is_none(), "only a request's is kept");
    let identity = auth.verify_and_keep(&token).await.unwrap();
    assert_eq!(auth.recall(&token), Some(identity));
    // Its key is taken back; a token with the new one makes us read that.
    std::fs::write(&path, jwks(&[("es256", "new")]).to_string()).unwrap();
    auth.verify(&named(Jws::ES256, "es256", Some("new"))).await.unwrap();
    assert!(auth.recall(&token).is_none());
    assert!(auth.verify_and_keep(&token).await.is_err());
}

#[actix_web::test]
async fn what_does_not_hold_is_not_kept() {
    let auth = authenticator(&jwt(|_| {}));
    let expired = hs256(&with("exp", json!(at(-60))));
    let sound = hs256(&claims());
    let forged = format!("{}x", &sound[..sound.len() - 1]);
    for token in [expired.as_str(), forged.as_str(), ""] {
        assert!(auth.verify_and_keep(token).await.is_err());
        assert!(auth.recall(token).is_none());
    }
    auth.verify_and_keep(&sound).await.unwrap();
    assert!(auth.recall(&sound).is_some() && auth.recall(&forged).is_none());
}

#[actix_web::test]
async fn a_jwks_that_breaks_leaves_the_old_keys() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jwks.json");
    std::fs::write(&path, jwks(&[("eddsa", "d")]).to_string()).unwrap();
    let auth = authenticator(&from_jwks(Algorithm::EdDSA, path.to_str().unwrap()));
    std::fs::write(&path, "<html>").unwrap();
    assert!(auth.verify(&named(Jws::EdDSA, "eddsa", Some("other"))).await.is_err());
    assert!(auth.verify(&named(Jws::EdDSA, "eddsa", Some("d"))).await.is_ok());
    let secret = json!({ "keys": [{ "kty": "oct", "k": base64_url(SECRET.as_bytes()) }] });
    std::fs::write(&path, secret.to_string()).unwrap();
    let sentence =
        Authenticator::new(&from_jwks(Algorithm::EdDSA, path.to_str().unwrap()), Clock::new()).err().unwrap();
    assert_eq!(sentence, "auth.jwks has no key for EdDSA.");
}

#[actix_web::test]
async fn a_jwks_address_is_fetched_when_first_needed() {
    use actix_web::{App, HttpResponse, HttpServer, web};
    let set = jwks(&[("rs256", "r")]);
    let app = move || {
        let set = set.clone();
        App::new().route("/jwks", web::get().to(move || std::future::ready(HttpResponse::Ok().json(set.clone()))))
    };
    let server = HttpServer::new(app).workers(1).bind(("127.0.0.1", 0)).unwrap();
    let place = format!("http://{}/jwks", server.addrs()[0]);
    let running = server.run();
    let handle = running.handle();
    actix_web::rt::spawn(running);
    let mut settings = from_jwks(Algorithm::RS256, &place);
    settings.outbound.allowed = vec!["127.0.0.0/8".parse().unwrap()];
    let auth = authenticator(&settings);
    assert!(auth.verify(&named(Jws::RS256, "rs256", Some("r"))).await.is_ok());
    handle.stop(false).await;
}

#[test]
fn who_may_act_and_who_may_look() {
    let [ann, bob] = ["ann", "bob"].map(|id| UserId::parse(id).unwrap());
    for (role, acts, reads) in [(Role::User, false, false), (Role::Admin, false, true), (Role::Service, true, true)] {
        let identity = Identity::plain(ann.clone(), role);
        assert!(identity.may_act_for(&ann) && identity.may_read_of(&ann));
        assert_eq!((identity.may_act_for(&bob), identity.may_read_of(&bob)), (acts, reads), "{role:?}");
    }
    let mut identity = Identity::plain(ann, Role::User);
    assert!(!identity.may_join("c", false) && identity.may_join("c", true));
    identity.conversations = Some(vec!["c".to_owned()]);
    assert!(identity.may_join("c", false) && !identity.may_join("d", false));
    // By the claim only: an id that looks like a profile's key is an id.
    assert!(!Identity::plain(UserId::parse("tutor_1").unwrap(), Role::User).has_profile("tutor", "1"));
}
