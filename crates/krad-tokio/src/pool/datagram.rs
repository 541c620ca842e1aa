//! A UDP socket to one server.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use krad::MAX_PACKET_LENGTH;
use tokio::{net::UdpSocket, time::sleep};
use zeroize::Zeroizing;

use super::{
    counters::Counters,
    link::{Codec, Commands, Event, Table},
};

/// Sends and receives until nobody has the link any more.
pub(super) async fn run(address: SocketAddr, codec: Codec, mut commands: Commands, counters: Arc<Counters>) {
    let socket = match bind(address).await {
        Ok(socket) => socket,
        Err(error) => {
            tracing::debug!(%address, %error, "no socket to a RADIUS server");
            refuse(commands);
            return;
        }
    };
    let mut table = Table::new(codec);
    // One octet more than a packet may have: what is longer is not a packet.
    let mut buffer = Zeroizing::new(vec![0; MAX_PACKET_LENGTH.saturating_add(1)]);
    loop {
        let passed = tokio::select! {
            command = commands.recv() => match command {
                Some(command) => match table.command(command) {
                    Some(octets) => socket.send(octets).await.map(drop),
                    None => Ok(()),
                },
                None => return,
            },
            received = socket.recv(&mut buffer) => received.map(|length| {
                if let Err(discard) = table.arrived(buffer.get(..length).unwrap_or_default()) {
                    counters.discarded(discard, address);
                }
            }),
        };
        if let Err(error) = passed {
            tracing::debug!(%address, %error, "a datagram did not pass");
            table.unreachable();
            // The next error may be there already, from a lack of memory for one.
            sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    // From now on the kernel drops what comes from elsewhere, and reports that nobody listens.
    socket.connect(address).await?;
    Ok(socket)
}

/// Tells everyone who has asked already, and ends: whoever comes later finds the link closed.
pub(super) fn refuse(mut commands: Commands) {
    commands.close();
    while let Ok(command) = commands.try_recv() {
        if let super::link::Command::Ask(_, ask) = command {
            let _ = ask.teller.try_send((ask.place, Event::Unreachable));
        }
    }
}
