// SPDX-License-Identifier: Apache-2.0
//! The default server: an echo server on the host, with a dashboard.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use wss::host::{ClientAuth, Options, Server, Tls};
use wss::{
    Answer, Answered, ClientId, ClientState, Clients, CloseCode, ErrorEvent, Handler, Message,
    MessageKind, Page, Request, Status, Target, Verdict,
};

/// The page that browsers get.
const DASHBOARD: Page<'static> = Page::new(
    "/",
    "text/html; charset=utf-8",
    include_bytes!("../pages/dashboard.html"),
);
/// Clients that connect to this path get telemetry, for the dashboard. For all others this is an echo server.
const TELEMETRY_PATH: &str = "/dashboard";
/// The group of the clients on this path.
const SUBSCRIBERS: u32 = 1;
/// The period of telemetry.
const PERIOD: Duration = Duration::from_secs(1);

const HELP: &str = "\
A WebSocket server that echoes every message.

Usage: wss [options]

  --addr ADDR                address to listen on (127.0.0.1; :: for all)
  --port PORT                port to listen on (8000; 0 for any free one)
  --max-clients N            maximum number of clients (64)
  --loops N                  threads that share the clients (1)
  --rx-buffer BYTES          largest message that is received whole (1400)
  --streaming                accept larger messages too, in pieces
  --client-timeout-ms MS     maximum silence of a client (30000; 0: no limit)
  --handshake-timeout-ms MS  maximum time for the opening handshake (10000)
  --send-timeout-ms MS       maximum time without progress of unsent output (10000)
  --ping-interval-ms MS      silence after which a client is pinged (half the
                             client timeout; 0: never)
  --clients-per-address N    maximum clients of one address (0: no limit)
  --handshakes-per-second N  maximum connections that get a slot per second (0: no limit)
  --control-frames-per-second N
                             maximum pings and pongs of a client per second (0: no limit)
  --fragments-per-message N  maximum fragments of a message (0: no limit)
  --origin URL               origin that may connect (repeatable; none: any, and
                             with --auth the server's own)
  --tls-cert FILE            serve wss:// with this certificate (chain) in PEM or DER
  --tls-key FILE             its private key
  --tls-client-ca FILE       accept only clients with a certificate of this authority
  --auth USER:PASSWORD       password for the page and WebSockets (Basic)
  --no-page                  no dashboard at http://ADDR:PORT/ (https:// with TLS)
  --subprotocol NAME         subprotocol to speak (repeatable, preferred first)
  --broadcast                send every message to every client
  -v, --verbose              log events (twice: also refused frames)
  -h, --help                 show this
  -V, --version              show the version
";

/// The command line.
struct Arguments {
    options: Options,
    subprotocols: Vec<String>,
    broadcast: bool,
    login: Option<(String, String)>,
    page: bool,
    verbose: u8,
}

enum Command {
    Serve(Box<Arguments>),
    Print(&'static str),
}

fn main() -> ExitCode {
    match parse_arguments(lexopt::Parser::from_env()).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wss: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse_arguments(mut parser: lexopt::Parser) -> Result<Command, Box<dyn Error>> {
    let mut options = Options::default();
    let mut ping_interval = None;
    let (mut subprotocols, mut broadcast, mut verbose) = (Vec::new(), false, 0);
    let (mut cert, mut key, mut client_ca) = (None, None, None);
    let (mut login, mut page) = (None, true);
    while let Some(argument) = parser.next()? {
        let limits = &mut options.limits;
        match argument {
            Long("addr") => options.addr = parser.value()?.parse()?,
            Long("port") => options.port = parser.value()?.parse()?,
            Long("max-clients") => options.max_clients = parser.value()?.parse()?,
            Long("loops") => options.loops = parser.value()?.parse()?,
            Long("rx-buffer") => options.rx_buffer = parser.value()?.parse()?,
            Long("streaming") => limits.streaming = true,
            Long("client-timeout-ms") => limits.client_timeout_ms = parser.value()?.parse()?,
            Long("handshake-timeout-ms") => {
                limits.handshake_timeout_ms = parser.value()?.parse()?;
            }
            Long("send-timeout-ms") => limits.send_timeout_ms = parser.value()?.parse()?,
            Long("ping-interval-ms") => ping_interval = Some(parser.value()?.parse()?),
            Long("clients-per-address") => {
                limits.clients_per_address = parser.value()?.parse()?;
            }
            Long("handshakes-per-second") => {
                limits.handshakes_per_second = parser.value()?.parse()?;
            }
            Long("control-frames-per-second") => {
                limits.control_frames_per_second = parser.value()?.parse()?;
            }
            Long("fragments-per-message") => {
                limits.fragments_per_message = parser.value()?.parse()?;
            }
            Long("origin") => options.origins.push(parser.value()?.string()?),
            Long("tls-cert") => cert = Some(parser.value()?),
            Long("tls-key") => key = Some(parser.value()?),
            Long("tls-client-ca") => client_ca = Some(parser.value()?),
            Long("subprotocol") => subprotocols.push(parser.value()?.string()?),
            Long("broadcast") => broadcast = true,
            Long("auth") => {
                let value = parser.value()?.string()?;
                let parts = value.split_once(':').filter(|(user, _)| !user.is_empty());
                let (user, password) = parts.ok_or("--auth needs USER:PASSWORD")?;
                login = Some((user.to_owned(), password.to_owned()));
            }
            Long("no-page") => page = false,
            Short('v') | Long("verbose") => verbose += 1,
            Short('h') | Long("help") => return Ok(Command::Print(HELP)),
            Short('V') | Long("version") => {
                return Ok(Command::Print(concat!(
                    "wss ",
                    env!("CARGO_PKG_VERSION"),
                    "\n"
                )));
            }
            _ => return Err(argument.unexpected().into()),
        }
    }
    match (cert, key) {
        (Some(cert), Some(key)) => {
            let mut tls = Tls::files(cert, key);
            if let Some(ca) = client_ca {
                tls = tls.client_ca_file(ca, ClientAuth::Required);
            }
            options.tls = Some(tls.build()?);
        }
        (None, None) if client_ca.is_none() => {}
        _ => return Err("TLS needs both --tls-cert and --tls-key".into()),
    }
    let limits = &mut options.limits;
    if let Some(ms) = ping_interval {
        limits.ping_interval_ms = ms;
    } else if limits.client_timeout_ms > 0 {
        limits.ping_interval_ms = limits.client_timeout_ms / 2;
    }
    if broadcast && limits.streaming {
        // The pieces of several clients would mix.
        return Err("--broadcast and --streaming cannot be used together".into());
    }
    if login.is_some() {
        options = options.request_field("Authorization");
    }
    if page {
        options = options.page(DASHBOARD).tick(PERIOD);
    }
    Ok(Command::Serve(Box::new(Arguments {
        options,
        subprotocols,
        broadcast,
        login,
        page,
        verbose,
    })))
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    let arguments = match command {
        Command::Print(text) => {
            std::io::stdout().write_all(text.as_bytes())?;
            return Ok(());
        }
        Command::Serve(arguments) => arguments,
    };
    let level = match arguments.verbose {
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    env_logger::Builder::new().filter_level(level).init();
    // Before the server is ready, so that it handles signals from the start.
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let options = &arguments.options;
    let started = Instant::now();
    let mut is_first = true;
    let make = |clients| Echo {
        clients,
        subprotocols: arguments.subprotocols.clone(),
        broadcast: arguments.broadcast,
        login: arguments.login.clone(),
        // One loop sends telemetry for all loops.
        started: std::mem::take(&mut is_first).then_some(started),
    };
    let server = Server::start(options, make)
        .map_err(|error| format!("cannot start at {}:{}: {error}", options.addr, options.port))?;
    let mut stdout = std::io::stdout();
    let addr = server.local_addr();
    let (scheme, page) = if options.tls.is_some() {
        ("wss", "https")
    } else {
        ("ws", "http")
    };
    let dashboard = if arguments.page {
        format!("dashboard at {page}://{addr}/\n")
    } else {
        String::new()
    };
    // In one write: the reader of the first line may then close the pipe.
    let lines = format!("listening on {scheme}://{addr}\n{dashboard}");
    stdout.write_all(lines.as_bytes())?;
    stdout.flush()?;
    for signal in signals.forever() {
        match (signal, &options.tls) {
            (SIGHUP, Some(tls)) => match tls.reload() {
                Ok(()) => log::info!("the certificate was reloaded"),
                Err(error) => log::error!("the certificate stays as it was: {error}"),
            },
            _ => break,
        }
    }
    log::info!("closing every client; a second signal does not wait for them");
    let no_more_signals = signals.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if signals.forever().next().is_some() {
                server.stop_now();
            }
        });
        server.stop();
        no_more_signals.close();
    });
    log::info!("{:?}", server.clients().stats());
    Ok(())
}

/// Sends every message back, or to all clients.
struct Echo {
    clients: Clients,
    subprotocols: Vec<String>,
    broadcast: bool,
    login: Option<(String, String)>,
    /// The start time of the server, on the loop that sends telemetry.
    started: Option<Instant>,
}

impl Echo {
    /// Returns what the server does, for the dashboard.
    const fn about(&self) -> &'static str {
        if self.broadcast {
            "This server sends every message to all clients. Send one below."
        } else {
            "This is an echo server: every message comes back. Send one below."
        }
    }

    /// Returns the counters of the server as JSON, by the names of [`wss::Stats`].
    fn telemetry(&self, started: Instant) -> String {
        let stats = self.clients.stats();
        let traffic = stats.traffic;
        let is_connected =
            |client: &ClientId| self.clients.state(client.slot()) == ClientState::Connected;
        let memory = memory_kib().map_or(String::new(), |kib| format!(",\"memory_kib\":{kib}"));
        format!(
            "{{\"about\":\"{}\",\"clients\":{},\"uptime_s\":{},\"messages_received\":{},\"messages_sent\":{},\
             \"bytes_received\":{},\"bytes_sent\":{},\"accepted\":{},\"connected\":{},\
             \"timeouts\":{},\"protocol_errors\":{},\"would_block\":{}{memory}}}",
            self.about(),
            self.clients.iter().filter(is_connected).count(),
            started.elapsed().as_secs(),
            traffic.messages_received,
            traffic.messages_sent,
            traffic.bytes_received,
            traffic.bytes_sent,
            stats.accepted,
            stats.connected,
            stats.timeouts,
            stats.protocol_errors,
            stats.would_block,
        )
    }
}

/// Returns the memory of the process, if the operating system reports it here.
fn memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

impl Handler for Echo {
    type Session = ();

    fn on_request(
        &mut self,
        (): &mut (),
        _: ClientId,
        request: &Request<'_>,
        answer: Answer<'_>,
    ) -> Answered {
        if let Some((user, password)) = &self.login {
            if !request.is_basic(user, password) {
                let refused = Verdict::refuse(Status::UNAUTHORIZED);
                return answer.give(refused.challenge("Basic realm=\"wss\""));
            }
        }
        let spoken = |name: &&String| request.subprotocols().any(|offered| offered == *name);
        let accept = match self.login {
            // Browsers remember the password, so pages of other sites must not use it.
            Some(_) => Verdict::accept(),
            // The server only echoes: there is nothing to protect.
            None => Verdict::accept().any_origin(),
        };
        match self.subprotocols.iter().find(spoken) {
            Some(name) => answer.give(accept.subprotocol(name)),
            None => answer.give(accept),
        }
    }

    fn on_open(&mut self, (): &mut (), client: ClientId, request: &Request<'_>) {
        log::info!("{client}: connected to {}", request.path());
        if request.path() == TELEMETRY_PATH {
            self.clients.set_groups(client, SUBSCRIBERS);
        }
    }

    fn on_tick(&mut self) {
        if let Some(started) = self.started {
            // Clients without room are skipped.
            let _ = self
                .clients
                .broadcast_text(SUBSCRIBERS, &self.telemetry(started));
        }
    }

    fn on_message(
        &mut self,
        (): &mut (),
        client: ClientId,
        kind: MessageKind,
        message: &Message<'_>,
    ) {
        let to = if self.broadcast {
            Target::All
        } else {
            Target::Client(client)
        };
        if let Err(error) = self.clients.send_piece(to, kind, message) {
            log::warn!(
                "{client}: a message of {} bytes was not sent: {error}",
                message.len()
            );
        }
    }

    fn on_close(&mut self, (): (), client: ClientId, code: CloseCode) {
        log::info!("{client}: closed with {code}");
    }

    fn on_error(&mut self, client: Option<ClientId>, error: ErrorEvent) {
        match client {
            Some(client) => log::info!("{client}: {error}"),
            None => log::warn!("{error}"),
        }
    }
}
