//! What carries out the commands: the running server, or this process alone on the database.

use super::answers::{Reloaded, Status};
use super::arguments::Arguments;
use super::command::{Command, Reply, Run};
use super::failure::{Failure, Kind};
use crate::accounts::{self, Accounts};
use crate::config::Plan;
use crate::doorman::{Letter, Listed};
use crate::services::sip::overview;
use crate::services::turn::sessions::{Look, Seen};
use crate::services::xmpp;
use crate::standing::Standing;
use serde_json::Value;
use std::sync::Arc;
use store::Store;
use wire::{Domain, WorkerId};

/// The house that commands work on. The running server is one; [`Offline`] is the other.
pub trait Backend: Send + Sync {
    /// The plan in force.
    fn plan(&self) -> Arc<Plan>;
    /// The accounts. A change is durable when its future is done.
    fn accounts(&self) -> &Accounts;
    /// Waits until every worker has seen all earlier changes of the accounts.
    fn settle(&self) -> Reply<'_, ()>;
    /// How the server is.
    fn status(&self) -> Reply<'_, Status>;
    /// Reads the configuration again; a refused one changes nothing.
    fn reload(&self) -> Reply<'_, Reloaded>;
    /// What is counted, in Prometheus' text format.
    fn metrics(&self) -> Reply<'_, String>;
    /// What the server suffers from, each in one word, where clients feel it.
    fn ailments(&self) -> Vec<String>;
    /// Whether no new TURN sessions are made.
    fn is_draining(&self) -> bool;
    /// How many workers there are to be asked.
    fn workers(&self) -> u16;
    /// What one worker sees on a page of its TURN sessions.
    fn look(&self, worker: WorkerId, look: Look) -> Reply<'_, Seen>;
    /// Sends one worker an order about SIP. The order holds the way back.
    fn order_sip(&self, worker: WorkerId, order: overview::Order) -> Reply<'_, ()>;
    /// Sends one worker an order about XMPP. The order holds the way back.
    fn order_xmpp(&self, worker: WorkerId, order: xmpp::overview::Order) -> Reply<'_, ()>;
    /// Who is shut out.
    fn bans(&self) -> Reply<'_, Listed>;
    /// How domains stand with the authority that issues their certificates.
    fn standing(&self) -> Arc<Vec<Standing>>;
    /// Orders certificates now, for one domain or all, and says how they stand then.
    fn renew(&self, domain: Option<Domain>) -> Reply<'_, Vec<Standing>>;
    /// Lets every worker's doorman have this letter.
    fn tell_doormen(&self, letter: Letter) -> Reply<'_, ()>;
    /// Lets the workers take no new TURN sessions, or take them again.
    fn drain_turn(&self, on: bool) -> Reply<'_, ()>;
}

/// The database without a server.
#[derive(Debug)]
pub struct Offline {
    plan: Arc<Plan>,
    accounts: Accounts,
    /// Closed when this is dropped.
    _store: Store,
}

impl Offline {
    /// Opens the plan's database.
    pub async fn open(plan: Plan) -> Result<Self, Failure> {
        let store = accounts::open_store(&plan, store::Settings::default())?;
        let accounts = Accounts::load(store.handle(), &plan, accounts::nobody()).await?;
        Ok(Self { plan: Arc::new(plan), accounts, _store: store })
    }
}

/// What is answered where only a server could answer.
pub fn no_server(plan: &Plan) -> Failure {
    let socket = plan.admin.socket.display();
    Failure::new(Kind::Unavailable, format!("the server does not run (nobody answers on {socket})"))
}

/// What is answered where a worker that was asked has ended.
pub(crate) fn gone(worker: WorkerId) -> Failure {
    Failure::new(Kind::Unavailable, format!("worker {} has ended", worker.0))
}

impl Backend for Offline {
    fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan)
    }

    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn settle(&self) -> Reply<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn status(&self) -> Reply<'_, Status> {
        Box::pin(async { Err(no_server(&self.plan)) })
    }

    fn reload(&self) -> Reply<'_, Reloaded> {
        Box::pin(async { Err(no_server(&self.plan)) })
    }

    fn metrics(&self) -> Reply<'_, String> {
        Box::pin(async { Err(no_server(&self.plan)) })
    }

    fn ailments(&self) -> Vec<String> {
        vec![]
    }

    fn is_draining(&self) -> bool {
        false
    }

    fn workers(&self) -> u16 {
        0
    }

    fn look(&self, _: WorkerId, _: Look) -> Reply<'_, Seen> {
        Box::pin(async { Err(no_server(&self.plan)) })
    }

    fn order_sip(&self, _: WorkerId, _: overview::Order) -> Reply<'_, ()> {
        Box::pin(async { Err(no_server(&self.plan)) })
    }

    fn order_xmpp(&self, _: WorkerId, _: xmpp::overview::Order) -> Reply<'_, ()> {
        Box::pin(async { Err(no_server(&self.plan)) })
    }

    fn bans(&self) -> Reply<'_, Listed> {
        Box::pin(async { Err(no_server(&self.plan)) })
    }

    fn standing(&self) -> Arc<Vec<Standing>> {
        Arc::default()
    }

    fn renew(&self, _: Option<Domain>) -> Reply<'_, Vec<Standing>> {
        Box::pin(async { Err(no_server(&self.plan)) })
    }

    fn tell_doormen(&self, _: Letter) -> Reply<'_, ()> {
        Box::pin(async { Err(no_server(&self.plan)) })
    }

    fn drain_turn(&self, _: bool) -> Reply<'_, ()> {
        Box::pin(async { Err(no_server(&self.plan)) })
    }
}

/// Carries out a command that is not for the command line alone.
pub async fn carry_out(
    house: &dyn Backend,
    command: &Command,
    arguments: &Arguments,
) -> Result<Value, Failure> {
    let answer = match command.run {
        Run::CommandLine(_) => Err(Failure::usage(format!("`{}` is for the command line", command.words()))),
        Run::Plan(run) => run(&house.plan(), arguments),
        Run::House(run) | Run::Server(run) => run(house, arguments).await,
    }?;
    if !command.reads {
        house.settle().await?;
    }
    Ok(answer)
}
