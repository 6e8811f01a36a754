//! Decimal digits of a double: Grisu2 (Loitsch, "Printing floating-point numbers quickly and accurately with integers", 2010) as
//! RethinkDB's JSON writer has it.
//!
//! The digits always read back as the same double, and are nearly always as few as can be. Where more than eight stand behind
//! the integer part of the scaled number, that writer leaves the last one as it comes instead of going to the nearest, so that
//! 0.1 + 0.2 prints as 0.30000000000000007. What clients see as text shows it, so it is done here, too.

use smallvec::SmallVec;

/// Digits, the first of them not zero.
pub type Digits = SmallVec<[u8; 24]>;

/// A number as significand and binary exponent.
#[derive(Clone, Copy)]
struct Float {
    significand: u64,
    exponent: i32,
}

/// Decimal exponent of the first power in the table, and from one to the next.
const FIRST_POWER: i32 = -348;
const POWER_STEP: i32 = 8;

/// 10^-348, 10^-340, ... 10^340, each the nearest with 64 bits.
const POWERS: [(u64, i16); 87] = [
    (0xfa8f_d5a0_081c_0288, -1220),
    (0xbaae_e17f_a23e_bf76, -1193),
    (0x8b16_fb20_3055_ac76, -1166),
    (0xcf42_894a_5dce_35ea, -1140),
    (0x9a6b_b0aa_5565_3b2d, -1113),
    (0xe61a_cf03_3d1a_45df, -1087),
    (0xab70_fe17_c79a_c6ca, -1060),
    (0xff77_b1fc_bebc_dc4f, -1034),
    (0xbe56_91ef_416b_d60c, -1007),
    (0x8dd0_1fad_907f_fc3c, -980),
    (0xd351_5c28_3155_9a83, -954),
    (0x9d71_ac8f_ada6_c9b5, -927),
    (0xea9c_2277_23ee_8bcb, -901),
    (0xaecc_4991_4078_536d, -874),
    (0x823c_1279_5db6_ce57, -847),
    (0xc210_9436_4dfb_5637, -821),
    (0x9096_ea6f_3848_984f, -794),
    (0xd774_85cb_2582_3ac7, -768),
    (0xa086_cfcd_97bf_97f4, -741),
    (0xef34_0a98_172a_ace5, -715),
    (0xb238_67fb_2a35_b28e, -688),
    (0x84c8_d4df_d2c6_3f3b, -661),
    (0xc5dd_4427_1ad3_cdba, -635),
    (0x936b_9fce_bb25_c996, -608),
    (0xdbac_6c24_7d62_a584, -582),
    (0xa3ab_6658_0d5f_daf6, -555),
    (0xf3e2_f893_dec3_f126, -529),
    (0xb5b5_ada8_aaff_80b8, -502),
    (0x8762_5f05_6c7c_4a8b, -475),
    (0xc9bc_ff60_34c1_3053, -449),
    (0x964e_858c_91ba_2655, -422),
    (0xdff9_7724_7029_7ebd, -396),
    (0xa6df_bd9f_b8e5_b88f, -369),
    (0xf8a9_5fcf_8874_7d94, -343),
    (0xb944_7093_8fa8_9bcf, -316),
    (0x8a08_f0f8_bf0f_156b, -289),
    (0xcdb0_2555_6531_31b6, -263),
    (0x993f_e2c6_d07b_7fac, -236),
    (0xe45c_10c4_2a2b_3b06, -210),
    (0xaa24_2499_6973_92d3, -183),
    (0xfd87_b5f2_8300_ca0e, -157),
    (0xbce5_0864_9211_1aeb, -130),
    (0x8cbc_cc09_6f50_88cc, -103),
    (0xd1b7_1758_e219_652c, -77),
    (0x9c40_0000_0000_0000, -50),
    (0xe8d4_a510_0000_0000, -24),
    (0xad78_ebc5_ac62_0000, 3),
    (0x813f_3978_f894_0984, 30),
    (0xc097_ce7b_c907_15b3, 56),
    (0x8f7e_32ce_7bea_5c70, 83),
    (0xd5d2_38a4_abe9_8068, 109),
    (0x9f4f_2726_179a_2245, 136),
    (0xed63_a231_d4c4_fb27, 162),
    (0xb0de_6538_8cc8_ada8, 189),
    (0x83c7_088e_1aab_65db, 216),
    (0xc45d_1df9_4271_1d9a, 242),
    (0x924d_692c_a61b_e758, 269),
    (0xda01_ee64_1a70_8dea, 295),
    (0xa26d_a399_9aef_774a, 322),
    (0xf209_787b_b47d_6b85, 348),
    (0xb454_e4a1_79dd_1877, 375),
    (0x865b_8692_5b9b_c5c2, 402),
    (0xc835_53c5_c896_5d3d, 428),
    (0x952a_b45c_fa97_a0b3, 455),
    (0xde46_9fbd_99a0_5fe3, 481),
    (0xa59b_c234_db39_8c25, 508),
    (0xf6c6_9a72_a398_9f5c, 534),
    (0xb7dc_bf53_54e9_bece, 561),
    (0x88fc_f317_f222_41e2, 588),
    (0xcc20_ce9b_d35c_78a5, 614),
    (0x9816_5af3_7b21_53df, 641),
    (0xe2a0_b5dc_971f_303a, 667),
    (0xa8d9_d153_5ce3_b396, 694),
    (0xfb9b_7cd9_a4a7_443c, 720),
    (0xbb76_4c4c_a7a4_4410, 747),
    (0x8bab_8eef_b640_9c1a, 774),
    (0xd01f_ef10_a657_842c, 800),
    (0x9b10_a4e5_e991_3129, 827),
    (0xe710_9bfb_a19c_0c9d, 853),
    (0xac28_20d9_623b_f429, 880),
    (0x8044_4b5e_7aa7_cf85, 907),
    (0xbf21_e440_03ac_dd2d, 933),
    (0x8e67_9c2f_5e44_ff8f, 960),
    (0xd433_179d_9c8c_b841, 986),
    (0x9e19_db92_b4e3_1ba9, 1013),
    (0xeb96_bf6e_badf_77d9, 1039),
    (0xaf87_023b_9bf0_ee6b, 1066),
];

const POWERS_OF_TEN: [u32; 10] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// How many digits behind the integer part that writer has powers of ten for.
const ROUNDED_DIGITS_MAX: usize = 9;

/// The digits of a finite number above zero, and the power of ten of the last one.
pub fn digits(value: f64) -> (Digits, i32) {
    let bits = value.to_bits();
    let (fraction, biased) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i32);
    let float = match biased {
        0 => Float { significand: fraction, exponent: -1074 },
        _ => Float { significand: fraction | 1 << 52, exponent: biased - 1075 },
    };
    // Half way to the neighbours.
    let upper = Float { significand: (float.significand << 1) + 1, exponent: float.exponent - 1 }.normalized();
    let lower = match float.significand {
        significand if significand == 1 << 52 => {
            Float { significand: (significand << 2) - 1, exponent: float.exponent - 2 }
        }
        significand => Float { significand: (significand << 1) - 1, exponent: float.exponent - 1 },
    };
    let lower = lower.significand << (lower.exponent - upper.exponent);
    let lower = Float { significand: lower, exponent: upper.exponent };

    let (power, scale) = power_for(upper.exponent);
    let value = float.normalized().times(power);
    let mut upper = upper.times(power);
    let mut lower = lower.times(power);
    upper.significand -= 1;
    lower.significand += 1;
    generate(value, upper, upper.significand - lower.significand, scale)
}

/// The power of ten that brings a number with this exponent near one, and the decimal exponent that is left.
fn power_for(exponent: i32) -> (Float, i32) {
    const LOG10_OF_2: f64 = 0.301_029_995_663_981_14;
    let exact = f64::from(-61 - exponent) * LOG10_OF_2 + 347.0;
    let index = ((exact.ceil() as i32) >> 3) + 1;
    let (significand, binary) = POWERS[usize::try_from(index).unwrap_or(0).min(POWERS.len() - 1)];
    (Float { significand, exponent: i32::from(binary) }, -(FIRST_POWER + index * POWER_STEP))
}

impl Float {
    fn normalized(self) -> Float {
        let shift = self.significand.leading_zeros();
        Float { significand: self.significand << shift, exponent: self.exponent - shift as i32 }
    }

    /// The product, rounded to 64 bits.
    fn times(self, other: Float) -> Float {
        let product = u128::from(self.significand) * u128::from(other.significand);
        let carry = (product >> 63) as u64 & 1;
        Float { significand: (product >> 64) as u64 + carry, exponent: self.exponent + other.exponent + 64 }
    }
}

/// Digits from the left until what is left is less than `delta`: the upper end, cut where it is still above the lower one.
fn generate(value: Float, upper: Float, mut delta: u64, mut scale: i32) -> (Digits, i32) {
    let shift = -upper.exponent;
    let one = 1u64 << shift;
    let mut distance = upper.significand - value.significand;
    let mut whole = (upper.significand >> shift) as u32;
    let mut part = upper.significand & (one - 1);
    let mut digits = Digits::new();
    let mut places = whole.checked_ilog10().map_or(1, |log| log as usize + 1);
    while places > 0 {
        let unit = POWERS_OF_TEN[places - 1];
        push(&mut digits, whole / unit);
        whole %= unit;
        places -= 1;
        let rest = (u64::from(whole) << shift) + part;
        if rest <= delta {
            scale += places as i32;
            round(&mut digits, delta, rest, u64::from(POWERS_OF_TEN[places]) << shift, distance);
            return (digits, scale);
        }
    }
    let mut behind = 0;
    loop {
        part *= 10;
        delta *= 10;
        push(&mut digits, (part >> shift) as u32);
        part &= one - 1;
        behind += 1;
        if part < delta {
            distance = if behind < ROUNDED_DIGITS_MAX { distance * u64::from(POWERS_OF_TEN[behind]) } else { 0 };
            round(&mut digits, delta, part, one, distance);
            return (digits, scale - behind as i32);
        }
    }
}

fn push(digits: &mut Digits, digit: u32) {
    if digit != 0 || !digits.is_empty() {
        digits.push(b'0' + digit as u8);
    }
}

/// Lowers the last digit while that brings the number nearer to the value, which is `distance` below the upper end.
fn round(digits: &mut Digits, delta: u64, mut rest: u64, unit: u64, distance: u64) {
    while rest < distance
        && delta - rest >= unit
        && (rest + unit < distance || distance - rest > rest + unit - distance)
    {
        if let Some(last) = digits.last_mut() {
            *last -= 1;
        }
        rest += unit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datum::samples::{Samples, rounds};

    fn text(value: f64) -> String {
        let (digits, scale) = digits(value);
        format!("{}e{scale}", String::from_utf8_lossy(&digits))
    }

    #[test]
    fn digits_are_those_recorded() {
        for (value, expected) in [
            (0.1 + 0.2, "30000000000000007e-17"),
            (40_007_862.917_250_894, "40007862917250897e-9"),
            (89_011.262_538_353_32, "8901126253835332e-11"),
            (123.456, "123456e-3"),
            (0.3, "3e-1"),
            (1e22, "1e22"),
            (5e-324, "5e-324"),
            (f64::MAX, "17976931348623157e292"),
            (f64::MIN_POSITIVE, "22250738585072014e-324"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn digits_read_back_as_the_same_number() {
        let mut samples = Samples::from_environment();
        for _ in 0..rounds(200_000) {
            let value = f64::from_bits(samples.next()).abs();
            if value.is_finite() && value > 0.0 {
                assert_eq!(text(value).parse::<f64>().unwrap().to_bits(), value.to_bits(), "{value:e}");
                assert!(digits(value).0.len() <= 17);
            }
        }
    }
}
