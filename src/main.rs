//! The program: reads the command line and does what it says.

use std::process::ExitCode;

use clap::Parser;
use switchboard::cli::{self, Cli, Command};
use switchboard::clock::Clock;
use switchboard::config::Settings;

fn main() -> ExitCode {
    let (command, flags) = Cli::parse().split();
    let answer = Settings::load(&flags).map_err(|problems| problems.join("\n")).and_then(|settings| match command {
        Command::Token(args) => cli::token(&settings, &args, Clock::new()),
        Command::Config => settings.to_toml(),
        Command::Healthcheck => {
            actix_web::rt::System::new().block_on(cli::healthcheck(&settings)).map(|()| "ok".to_owned())
        }
        Command::Serve(_) | Command::Migrate { .. } | Command::Report => Err("not yet".to_owned()),
    });
    match answer {
        Ok(text) => {
            println!("{}", text.trim_end());
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
