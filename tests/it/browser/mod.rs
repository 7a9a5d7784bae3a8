//! What people see: real browsers on the pages the service serves. Every browser is a process of its own whose
//! camera shows its user's colour, so that a picture that arrives tells whose it is.

mod camera;
mod command;
mod driver;
mod elsewhere;
mod page;
mod phone;
mod stage;

/// Makes a test of each story `async fn a_story(stage: Stage)`, on SQLite.
macro_rules! in_browsers {
    ($($story:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $story() {
                    $crate::browser::stage::tell($crate::harness::Kind::Sqlite, stringify!($story), super::$story).await;
                }
            )+
        }
    };
}

/// The same on PostgreSQL too, for the few stories in which the database plays a part of its own.
macro_rules! in_browsers_on_both {
    ($($story:ident),+ $(,)?) => {
        in_browsers!($($story),+);
        mod on_postgres {
            $(
                #[tokio::test]
                async fn $story() {
                    $crate::browser::stage::tell($crate::harness::Kind::Postgres, stringify!($story), super::$story).await;
                }
            )+
        }
    };
}

mod admin;
mod below_a_path;
mod budgets;
mod calls;
mod devices;
mod dialects;
mod gallery;
mod groups;
mod ids;
mod keyboard;
mod lapses;
mod networks;
mod operator;
mod outages;
mod permissions;
mod records;
mod relay;
mod sign_in;
mod states;
mod switches;
mod widget;
mod words;
