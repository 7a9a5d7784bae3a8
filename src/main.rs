//! The program: reads the command line and does what it says.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use switchboard::app;
use switchboard::cli::{self, Cli, Command};
use switchboard::clock::Clock;
use switchboard::config::{AuthMode, Settings};
use switchboard::journal;

/// Gives back most of what a crowd needed when it has gone; glibc's keeps all but the end of each thread's heap.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let (command, flags) = Cli::parse().split();
    let answer = Settings::load(&flags).map_err(|problems| problems.join("\n")).and_then(|settings| {
        let system = actix_web::rt::System::new();
        system.block_on(run(command, &settings))
    });
    log::logger().flush();
    match answer {
        Ok(text) => {
            if !text.is_empty() {
                println!("{}", text.trim_end());
            }
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked; what it returns is printed.
async fn run(command: Command, settings: &Settings) -> Result<String, String> {
    match command {
        Command::Serve(_) => serve(settings).await.map(|()| String::new()),
        Command::Token(args) => cli::token(settings, &args, Clock::new()),
        Command::Config => settings.to_toml(),
        Command::Healthcheck => cli::healthcheck(settings).await.map(|()| "ok".to_owned()),
        Command::Migrate { what } => cli::migrate(settings, what).await,
        Command::Report => cli::report(settings).await,
    }
}

async fn serve(settings: &Settings) -> Result<(), String> {
    journal::start("info,actix_server=warn,sea_orm_migration=warn,sqlx=warn")
        .map_err(|error| format!("the log cannot be written: {error}"))?;
    if settings.auth.mode == AuthMode::Dev {
        log::warn!("dev authentication: everybody is believed to be who they say; fit for this machine only");
    }
    let service = app::start(settings).await?;
    println!("{}", app::greeting(settings, service.address).trim_end());
    service.run().await.map_err(|error| error.to_string())
}
