//! Several servers with one secret: a client that is sent from one to the other needs no new challenge.

use crate::client::{Client, Line};
use testkit::House;

fn house() -> House {
    crate::prepare()
}

#[test]
fn servers_that_share_their_secret_take_one_another_s_nonces() {
    let (mut first, mut second, mut stranger) = (house(), house(), house());
    first.start();
    let secret = first.dir().join("data/server.secret");
    std::fs::copy(secret, second.dir().join("data/server.secret")).unwrap();
    second.start();
    stranger.start();
    let mut roland = Client::new(Line::udp(first.port("turn.udp")), "roland", "tr0mbone");
    assert_eq!(roland.allocate(), 0);
    for (house, code) in [(&second, 0), (&stranger, 438)] {
        let mut there = roland.by(Line::udp(house.port("turn.udp")));
        assert_eq!(there.allocate(), code);
    }
}
