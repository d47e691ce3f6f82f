/* vmath_coef_special.h — constants of vmath_special.h, which is evaluated in double precision
 * only; made as those of vmath_coef.h.  Private to runtime/ and to the machines. */
#ifndef LQFT_VMATH_COEF_SPECIAL_H
#define LQFT_VMATH_COEF_SPECIAL_H

#define D_ERF_TAIL \
    VP_12(0x1.06eba8214db68p-3, -0x1.812746b0379c1p-2, 0x1.ce2f21a040f66p-4, \
    -0x1.b82ce31203772p-6, 0x1.565bccfa44156p-8, -0x1.c02db0665e537p-11, \
    0x1.f9a2be4f7310fp-14, -0x1.f4ca838adae2ep-17, 0x1.b981d7887bec2p-20, \
    -0x1.5c131500b0158p-23, 0x1.d76af6c94bdadp-27, -0x1.ac9585a14b9d6p-31)
#define D_ERFC_TAIL_C0 0x1.18932bf08e154p+0
#define D_ERFC_TAIL_C1 0x1.0981aa12747cep-54
#define D_ERFC_TAIL_X -0x1.f3fe31ecb49bfp-1
#define D_ERFC_TAIL \
    VP_19(0x1.8be202d26c705p-1, -0x1.14eacb1ad0347p-1, 0x1.52cac237101adp-2, \
    -0x1.645fd8a4bbb8bp-3, 0x1.38dbd2c8ddfe2p-4, -0x1.b00c052c56a52p-6, \
    0x1.908f47298fa36p-8, -0x1.269b51fe849cbp-12, -0x1.dd28489f7a191p-12, \
    0x1.72cda7e4a7925p-13, -0x1.e7df10c199541p-19, -0x1.3c6f03114bcefp-16, \
    0x1.3af792c9c3b6ap-18, 0x1.7e59d9b43af31p-20, -0x1.c4e7d34c98765p-21, \
    -0x1.46041029dca83p-24, 0x1.02739f24d09a8p-23, 0x1.5403da2264667p-30, \
    -0x1.abf40336c434fp-27)
#define D_LGAMMA_1_C0 -0x1.2788cfc6fb619p-1
#define D_LGAMMA_1_C1 0x1.6cb90701fbfabp-58
#define D_LGAMMA_1_X 0x1.a51a6625307d3p-1
#define D_LGAMMA_1 \
    VP_27(-0x1.9a4d55beab2d7p-2, 0x1.151322ac7d8e9p-2, -0x1.a8b9c17aa6281p-3, \
    0x1.5b40cb0ff7e2cp-3, -0x1.2703a1dcd682dp-3, 0x1.010b36b799ac3p-3, \
    -0x1.c806707d07c69p-4, 0x1.9a01e02e1bc0ep-4, -0x1.748c2fd2348bep-4, \
    0x1.556b3fe9a66f6p-4, -0x1.3b1dfdcb92653p-4, 0x1.248e72b0a7186p-4, \
    -0x1.110b05d33b8f9p-4, 0x1.007509e47a025p-4, -0x1.e2c4334095f0ep-5, \
    0x1.be79bd2aebac5p-5, -0x1.a6c5663f08556p-5, 0x1.d2f7f4a6085fbp-5, \
    -0x1.bdcd4921292ddp-5, 0x1.b4fc9a43dac9fp-7, -0x1.92cc93c2d0397p-7, \
    0x1.1ef5d11df4a3dp-3, -0x1.15aa76c25a286p-3, -0x1.3046d605c1822p-3, \
    0x1.27f230eaff2d4p-3, 0x1.bdb3d7629dd5ep-3, -0x1.b016cba599e79p-3)
#define D_LGAMMA_2_C0 0x1.2383e809a67e8p-1
#define D_LGAMMA_2_C1 -0x1.823fe323a5c09p-55
#define D_LGAMMA_2_X 0x1.1200f695b0dd9p-2
#define D_LGAMMA_2 \
    VP_22(-0x1.6f0ca9a1c2757p-5, 0x1.646ae6e418af4p-7, -0x1.95b11573d1c02p-9, \
    0x1.f7e4616108154p-11, -0x1.4a5d12d7ce762p-12, 0x1.c135f7fde6882p-14, \
    -0x1.3957bda4cef24p-15, 0x1.bd7626ea062d4p-17, -0x1.41361f3e7b2e3p-18, \
    0x1.d46fcb054917cp-20, -0x1.5899606923f9ep-21, 0x1.febcbba140796p-23, \
    -0x1.7d68336d9c227p-24, 0x1.1dd00e45460f8p-25, -0x1.a5844651f89c2p-27, \
    0x1.3e4acfc7b7709p-28, -0x1.18073263d2336p-29, 0x1.aa73725f2335ep-31, \
    -0x1.acd9e8c8746a8p-34, 0x1.427402c4b8f5fp-35, -0x1.9a13e6b85544bp-34, \
    0x1.3b6b1b0adbef5p-35)
#define D_STIRLING \
    VP_7(0x1.5555555555555p-4, -0x1.6c16c16c124d9p-9, 0x1.a01a01612994bp-11, \
    -0x1.38132d62092cap-11, 0x1.b91c48c13edb6p-11, -0x1.edbcfede193ap-10, \
    0x1.42235f812cb88p-8)
#define D_STIRLING_1 0x1.acfe390c97d69p-2 /* (ln 2π - 1)/2 */
#define D_STIRLING_2 0x1.3494bc9001442p-56
#define D_DIGAMMA_ROOT_1 0x1.762d86356be3fp+0
#define D_DIGAMMA_ROOT_2 0x1.b86a722197829p-54
#define D_DIGAMMA_1_C0 0x1.e6f0cbb873616p-1
#define D_DIGAMMA_1_C1 0x1.8f70c7a125e6ap-55
#define D_DIGAMMA_1_X -0x1.b1cb63005ee97p-2
#define D_DIGAMMA_1 \
    VP_21(0x1.eca189b8e6f6bp-3, -0x1.2feeeb98a7cd8p-3, 0x1.8512e5903957cp-4, \
    -0x1.fb442029cdbf4p-5, 0x1.4de9aa1740f7ep-5, -0x1.b9f8b1367959dp-6, \
    0x1.2564718a3efecp-6, -0x1.86355f6f68797p-7, 0x1.03c0aaac60d46p-7, \
    -0x1.5a071c746535bp-8, 0x1.cd20af6d4b924p-9, -0x1.33661f9073563p-9, \
    0x1.99c9cca3ed349p-10, -0x1.1002aaf6255f5p-10, 0x1.6aa7f31da252dp-11, \
    -0x1.f99f529bd0771p-12, 0x1.5112e03ea7f64p-12, -0x1.3db05b36d9a48p-13, \
    0x1.a7948f42ce337p-14, -0x1.6b107f71aa124p-13, 0x1.e415bdb9dd8d8p-14)
#define D_DIGAMMA_2_C0 0x1.d8773039049e7p-1
#define D_DIGAMMA_2_C1 0x1.6cb90701fbfabp-58
#define D_DIGAMMA_2_X 0x1.94699894c1f4dp-2
#define D_DIGAMMA_2 \
    VP_21(-0x1.3ba004f006214p-4, 0x1.44c8ab1f6112fp-6, -0x1.7418eca7ccc8ep-8, \
    0x1.c2613024b3e7fp-10, -0x1.196d0a67b3731p-11, 0x1.66d5f0b64dd89p-13, \
    -0x1.cf9ec09f2ca35p-15, 0x1.2e33a9ec508e1p-16, -0x1.8c6f97c2d05f1p-18, \
    0x1.052cfb82a519fp-19, -0x1.593942f8b73ecp-21, 0x1.c97a1a9b908edp-23, \
    -0x1.2f8bffe3f6419p-24, 0x1.91a15103fd641p-26, -0x1.0b0dffe6b7413p-27, \
    0x1.738b68ee92c39p-29, -0x1.eeb3b7dceda6bp-31, 0x1.d238718b789fdp-33, \
    -0x1.367f127c6822p-34, 0x1.09b098108ea34p-34, -0x1.622222169414bp-36)
#define D_DIGAMMA_3 \
    VP_6(0x1.5555555555534p-4, -0x1.1111110fe066dp-7, 0x1.04103a08e759dp-8, \
    -0x1.1109888ec96aep-8, 0x1.ecc55e0bfae8p-8, -0x1.222dfdb0a8462p-6)
#define D_I0_TAIL_C0 1
#define D_I0_TAIL_C1 0
#define D_I0_TAIL_X 0x1.ffffffffffffcp-3
#define D_I0_TAIL \
    VP_7(0x1.c71c71c71ca09p-6, 0x1.c71c71c6fe70dp-10, 0x1.234567934eb6ap-14, \
    0x1.02e8588ee0c28p-19, 0x1.522bbcaa58eedp-25, 0x1.51cd7264e11a2p-31, \
    0x1.177af7c4fc0e3p-37)
#define D_I1_TAIL \
    VP_8(0x1p-1, 0x1.5555555555633p-4, 0x1.c71c71c70a44cp-8, 0x1.6c16c1752ba49p-12, \
    0x1.845c85988b868p-17, 0x1.27e62af8db30cp-22, 0x1.51d0e61eb3e4dp-28, \
    0x1.3a3e4a4989a31p-34)
#define D_I_RATIO \
    VP_25(0x1.044739eb68fe7p-4, 0x1.25b72c5c94282p-10, 0x1.65fa14f714838p-14, \
    0x1.74e5ffb2bfe6fp-17, 0x1.2098dd0d6bbf9p-19, 0x1.41599a5a03e83p-21, \
    0x1.058fd70db56afp-22, 0x1.24ec2e3689e2ep-23, 0x1.3ade0111ac23fp-24, \
    -0x1.82874fb02b489p-31, -0x1.201f2b1bdeee2p-24, -0x1.16f51e38ba19p-24, \
    0x1.9832d090faae8p-27, 0x1.08624abb477a2p-24, 0x1.c375efd188f04p-27, \
    -0x1.79357e30a695p-25, -0x1.29bb609a252d7p-26, 0x1.beaaf16882763p-26, \
    0x1.acb222fb0ba1fp-27, -0x1.912e22f4a6fd3p-27, -0x1.9a627238441fep-28, \
    0x1.d19039b3123ap-29, 0x1.e25009873d6abp-30, -0x1.fd3f09324cfabp-32, \
    -0x1.0616285e8404cp-32)
#define D_LOG_I0_TAIL \
    VP_23(-0x1.d25ccb2547cdp-1, 0x1.11ce7ada3f8c2p-7, 0x1.3e8b182550982p-12, \
    0x1.a49fde1dcffffp-16, 0x1.cb70c8c7a5dp-19, 0x1.78cfadc96f18cp-21, \
    0x1.c9d3e91e09be6p-23, 0x1.9ae9ed39a2c44p-24, 0x1.c4b5d1904e231p-25, \
    0x1.39742a83e712p-26, -0x1.25b9523d189d1p-26, -0x1.1b41667b27209p-25, \
    -0x1.af67a8ea05109p-27, 0x1.3a69ffdf1d77cp-26, 0x1.1f7c78d1ef7e3p-26, \
    -0x1.0dff9bbbf29aep-27, -0x1.9c1a73f60a4d2p-27, 0x1.7d0262983d23dp-29, \
    0x1.98584a44a5f7ap-28, -0x1.815cdb484cca3p-31, -0x1.fd68f3cd9cfa7p-30, \
    0x1.8ccedcf444a6ep-34, 0x1.28ca62af2fe47p-32)
#define D_POW_TAIL \
    VP_8(0x1.999999999999ap-2, 0x1.2492492492521p-2, 0x1.c71c71c6eaa8cp-3, \
    0x1.745d177a8f30dp-3, 0x1.3b1395d4f2df4p-3, 0x1.1118c749a1ccap-3, \
    0x1.df7ce956c7572p-4, 0x1.e02d1cc03596ep-4)
#define D_DIGAMMA_4_C0 0x1.b4c420a50ad7cp+0
#define D_DIGAMMA_4_C1 0x1.c76d94920f0e7p-57
#define D_DIGAMMA_4_X 0x1.735973273d5ecp-2
#define D_DIGAMMA_4 \
    VP_20(-0x1.0c9d0d7465471p-4, 0x1.0262026c6c742p-6, -0x1.16e2c95f54b57p-8, \
    0x1.40454efd5ab97p-10, -0x1.7e2cdc7624477p-12, 0x1.d3f25952b1cadp-14, \
    -0x1.23c4cba307389p-15, 0x1.70c7204d59114p-17, -0x1.d6e69cdf17ab5p-19, \
    0x1.2f0bc4124d7a6p-20, -0x1.888d7d076a05ap-22, 0x1.fef6d5781343fp-24, \
    -0x1.4ce703203dbc8p-25, 0x1.b47c778d20623p-27, -0x1.2929e6e9cdaf5p-28, \
    0x1.87aa6282824c9p-30, -0x1.830f9fcc14c94p-32, 0x1.ff0fa632eb821p-34, \
    -0x1.903a62a5dca86p-34, 0x1.0976dc65b1555p-35)
#define D_I_RATIO_2_C0 0x1.ba1fa2bb69f88p-1
#define D_I_RATIO_2_C1 -0x1.df10ef20489a5p-55
#define D_I_RATIO_2_X 0x1.3af766528202fp-2
#define D_I_RATIO_2 \
    VP_20(-0x1.9759c06e495f3p-2, 0x1.e2181d7e7c741p-2, -0x1.3c518fbba44e1p-2, \
    -0x1.106aac684e814p-2, 0x1.9abfcfa91ace7p-1, -0x1.90bde60445d08p-2, \
    -0x1.6856715df9e47p-1, 0x1.ac693c675e364p-1, 0x1.49938acc03961p-3, \
    -0x1.2525a698dcc0ap-1, 0x1.5555ef1a4d0bep-2, -0x1.2f804b86d4cd6p-2, \
    -0x1.af6d09f77bd38p-2, 0x1.13c527d73e77ep+0, 0x1.4767e0372148p-3, \
    -0x1.0ce2d6660ae96p+0, 0x1.198689c127c04p-3, 0x1.f5c6d1b2ac2bcp-3, \
    -0x1.8c404f4d295cdp-3, 0x1.59fbdb604a7d2p-2)
#define D_LOG_I0_2_C0 0x1.3665823136dc2p-1
#define D_LOG_I0_2_C1 0x1.1563ebd9025e6p-55
#define D_LOG_I0_2_X 0x1.077441146638bp-1
#define D_LOG_I0_2 \
    VP_18(-0x1.a7e237ac94dd6p-3, 0x1.6ae897ecd1739p-5, 0x1.c193dd5532536p-4, \
    -0x1.2088bbaa00193p-3, 0x1.01b4558fe7099p-5, 0x1.e9d95495f4cb2p-4, \
    -0x1.aa909a82ce1bp-4, -0x1.49a0fe285869p-5, 0x1.792b17525b0a9p-4, \
    -0x1.4e51e322a0252p-6, -0x1.f4ea239db7a85p-7, 0x1.2a0165f691c2p-5, \
    -0x1.f130a2960c45bp-5, -0x1.1164524ce8e1ep-6, 0x1.5904bc0061171p-4, \
    -0x1.3707aa393ffdfp-8, -0x1.75cef3961f6fdp-5, 0x1.4ce9dd159d3dp-7)
#define D_TWO_THIRDS_1 0x1.5555555555555p-1
#define D_TWO_THIRDS_2 0x1.5555555555555p-55
#define D_LN2_HEAD 0x1.62e42fefa4p-1 /* 40 bits: times an exponent it is exact */
#define D_LN2_REST -0x1.8432a1b0e2634p-43

#endif
