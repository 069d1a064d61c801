// SPDX-License-Identifier: MPL-2.0

use bytes::Bytes;
use proptest::prelude::*;
use wmspush_proto::asf::DataPacket;
use wmspush_proto::wmhttp::SessionConfig;

use super::harness::{Offered, Pair, config, first_header};

/// Content between the first header and the end.
#[derive(Clone, Debug)]
enum Step {
    /// A damaged packet with any bytes, which is sent unchanged.
    Data(Vec<u8>),
    NewHeader,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let data = prop::collection::vec(any::<u8>(), 1500).prop_map(Step::Data);
    prop::collection::vec(prop_oneof![12 => data, 1 => Just(Step::NewHeader)], 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// 3.1.4.3 to 3.1.4.5: no packet is lost, doubled or reordered, and every body has its announced length, for any
    /// Content-Length and any ends of entries.
    /// C-043, C-122, C-142, C-150, C-165, C-189
    #[test]
    fn all_content_is_received_in_bodies_of_the_announced_length(
        steps in steps(),
        content_length in prop_oneof![4000..20_000u64, 60_000..140_000u64],
        remove_padding: bool,
    ) {
        let first = first_header("av_asfmux_p1500_streamable.asf");
        let mut content = vec![Offered::Header(first.clone())];
        let mut data = Vec::new();
        let mut changes = 0;
        for step in steps {
            match step {
                Step::Data(bytes) => {
                    let packet = DataPacket::parse(Bytes::from(bytes));
                    let unpadded = packet.without_padding();
                    data.push(if remove_padding {
                        Bytes::from([unpadded.head.as_slice(), &unpadded.body].concat())
                    } else {
                        packet.as_bytes().clone()
                    });
                    content.push(Offered::Data(packet));
                }
                Step::NewHeader => {
                    changes += 1;
                    content.push(Offered::Header(first.clone()));
                }
            }
        }
        let config = SessionConfig { content_length: Some(content_length), remove_padding, ..config() };
        let pair = Pair::run(config, content);
        prop_assert_eq!(pair.data(), data);
        let letters = pair.letters();
        prop_assert_eq!(letters.matches('H').count(), 1);
        prop_assert_eq!(letters.matches('C').count(), changes);
        prop_assert_eq!(letters.matches('1').count(), changes);
        prop_assert!(letters.ends_with('0'));
        let (_, filled) = pair.bodies.split_last().unwrap();
        prop_assert!(filled.iter().all(|(sent, announced)| sent == announced), "{:?}", pair.bodies);
    }
}
