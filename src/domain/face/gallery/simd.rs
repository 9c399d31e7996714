//! Products of one vector with every row of a matrix, with the widest vector unit that the processor has.
//!
//! One body is compiled several times, for different instruction sets; which of them may run is found out once, when
//! the program starts to need it. The sums are taken in another order than a scalar loop would, and AVX2, AVX-512 and
//! NEON round once where the scalar loop rounds twice: scores agree within 1e-5, not bit by bit. On one machine the same
//! search gives the same bits each time.

use super::coarse::Bytes;
use super::matrix::{LANE, Lane};

/// The instruction set that a search uses. Only [`Kernel::best`] and [`Kernel::all`] make one, so that one that the
/// processor does not have does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Kernel {
    /// All that this processor can run, the widest last.
    pub fn all() -> Vec<Self> {
        let mut sets = vec![Set::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
            sets.extend(avx2.then_some(Set::Avx2));
            // All but the very first processors with AVX-512 have the three together.
            let avx512 = std::arch::is_x86_feature_detected!("avx512f")
                && std::arch::is_x86_feature_detected!("avx512bw")
                && std::arch::is_x86_feature_detected!("avx512vl");
            sets.extend((avx2 && avx512).then_some(Set::Avx512));
        }
        #[cfg(target_arch = "aarch64")]
        sets.extend(std::arch::is_aarch64_feature_detected!("neon").then_some(Set::Neon));
        sets.into_iter().map(Self).collect()
    }

    /// The widest.
    pub fn best() -> Self {
        Self::all().pop().expect("the scalar one is always there")
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2+fma",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "neon",
        }
    }

    /// The product of `query` with each of the rows; `rows` holds `scores.len()` rows as wide as `query`.
    #[allow(unsafe_code, reason = "a function compiled for an instruction set may be called only where that exists")]
    pub(super) fn products(self, query: &[Lane], rows: &[Lane], scores: &mut [f32]) {
        assert_eq!(rows.len(), query.len() * scores.len(), "rows as wide as the query, a score each");
        match self.0 {
            Set::Scalar => scalar(query, rows, scores),
            // SAFETY: `Kernel::all` makes this value only after the processor reported both AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { avx2(query, rows, scores) },
            // SAFETY: `Kernel::all` makes this value only after the processor reported AVX2, FMA and AVX-512 F, BW, VL.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { avx512(query, rows, scores) },
            // SAFETY: `Kernel::all` makes this value only after the processor reported NEON.
            #[cfg(target_arch = "aarch64")]
            Set::Neon => unsafe { neon(query, rows, scores) },
        }
    }
}

impl Kernel {
    /// The same of coarse copies, in whole numbers.
    #[allow(unsafe_code, reason = "as above")]
    pub(super) fn coarse_products(self, query: &[Bytes], rows: &[Bytes], products: &mut [i32]) {
        assert_eq!(rows.len(), query.len() * products.len(), "rows as wide as the query, a product each");
        match self.0 {
            Set::Scalar => coarse(query, rows, products),
            // SAFETY: `Kernel::all` makes this value only after the processor reported both AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { coarse_avx2(query, rows, products) },
            // SAFETY: `Kernel::all` makes this value only after the processor reported AVX2, FMA and AVX-512 F, BW, VL.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { coarse_avx512(query, rows, products) },
            // SAFETY: `Kernel::all` makes this value only after the processor reported NEON.
            #[cfg(target_arch = "aarch64")]
            Set::Neon => unsafe { coarse_neon(query, rows, products) },
        }
    }
}

fn scalar(query: &[Lane], rows: &[Lane], scores: &mut [f32]) {
    body::<false>(query, rows, scores);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(query: &[Lane], rows: &[Lane], scores: &mut [f32]) {
    body::<true>(query, rows, scores);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl")]
fn avx512(query: &[Lane], rows: &[Lane], scores: &mut [f32]) {
    body::<true>(query, rows, scores);
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn neon(query: &[Lane], rows: &[Lane], scores: &mut [f32]) {
    body::<true>(query, rows, scores);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn coarse_avx2(query: &[Bytes], rows: &[Bytes], products: &mut [i32]) {
    coarse(query, rows, products);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl")]
fn coarse_avx512(query: &[Bytes], rows: &[Bytes], products: &mut [i32]) {
    coarse(query, rows, products);
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn coarse_neon(query: &[Bytes], rows: &[Bytes], products: &mut [i32]) {
    coarse(query, rows, products);
}

/// Inlined into the functions above. Whole numbers have no order of rounding: the compiler may sum as it likes. 4,096
/// numbers, the most that the store takes, stay far below the limit of 32 bits.
#[inline(always)]
fn coarse(query: &[Bytes], rows: &[Bytes], products: &mut [i32]) {
    for (row, product) in rows.chunks_exact(query.len()).zip(products) {
        let lane = |(row, query): (&Bytes, &Bytes)| -> i32 {
            row.0.iter().zip(&query.0).map(|(&row, &query)| i32::from(row) * i32::from(query)).sum()
        };
        *product = row.iter().zip(query).map(lane).sum();
    }
}

/// Inlined into each of the functions above and compiled for its instruction set. `FUSED`: multiply and add in one
/// instruction, which only pays where there is one.
#[inline(always)]
fn body<const FUSED: bool>(query: &[Lane], rows: &[Lane], scores: &mut [f32]) {
    for (row, score) in rows.chunks_exact(query.len()).zip(scores) {
        // Two sums of sixteen that do not wait for each other.
        let (mut even, mut odd) = ([0.0_f32; LANE], [0.0_f32; LANE]);
        let mut pairs = row.chunks_exact(2).zip(query.chunks_exact(2));
        for (row, query) in &mut pairs {
            add::<FUSED>(&mut even, &row[0], &query[0]);
            add::<FUSED>(&mut odd, &row[1], &query[1]);
        }
        if row.len() % 2 == 1 {
            add::<FUSED>(&mut even, &row[row.len() - 1], &query[query.len() - 1]);
        }
        *score = sum(even, odd);
    }
}

#[inline(always)]
fn add<const FUSED: bool>(sums: &mut [f32; LANE], row: &Lane, query: &Lane) {
    for ((sum, &row), &query) in sums.iter_mut().zip(&row.0).zip(&query.0) {
        *sum = if FUSED { row.mul_add(query, *sum) } else { row * query + *sum };
    }
}

/// Halves and halves again, as the vector units can.
#[inline(always)]
fn sum(even: [f32; LANE], odd: [f32; LANE]) -> f32 {
    let sixteen: [f32; 16] = std::array::from_fn(|at| even[at] + odd[at]);
    let eight: [f32; 8] = std::array::from_fn(|at| sixteen[at] + sixteen[at + 8]);
    let four: [f32; 4] = std::array::from_fn(|at| eight[at] + eight[at + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

#[cfg(test)]
mod tests {
    use super::super::matrix::{Matrix, lanes};
    use super::*;

    #[test]
    fn every_instruction_set_gives_the_scalar_score_within_rounding() {
        let mut random = fastrand::Rng::with_seed(5);
        for numbers in [1_usize, 15, 16, 17, 128, 256, 500, 512] {
            let mut vector = || {
                let raw: Vec<f32> = (0..numbers).map(|_| random.f32() - 0.5).collect();
                crate::domain::face::Embedding::new(&raw).unwrap()
            };
            let query = vector();
            let rows: Vec<_> = (0..37).map(|_| vector()).collect();
            let mut matrix = Matrix::new(numbers.div_ceil(LANE));
            rows.iter().for_each(|row| matrix.push(lanes(row.values())));
            let query_lanes: Vec<Lane> = lanes(query.values()).collect();
            for kernel in Kernel::all() {
                let mut scores = vec![f32::NAN; rows.len()];
                kernel.products(&query_lanes, matrix.lanes(), &mut scores);
                for (row, score) in rows.iter().zip(scores) {
                    let exact: f64 =
                        row.values().iter().zip(query.values()).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                    assert!((f64::from(score) - exact).abs() < 1e-5, "{} {numbers}: {score} {exact}", kernel.name());
                }
            }
        }
    }

    #[test]
    fn this_machine_runs_more_than_the_scalar_loop() {
        assert_eq!(Kernel::all()[0].name(), "scalar");
        let known = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
        assert!(!known || Kernel::best().name() != "scalar", "this processor has neither AVX2 nor NEON");
    }
}
