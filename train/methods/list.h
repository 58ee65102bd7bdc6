/* SPDX-License-Identifier: MIT */
/* Every method, in the order of help and messages: METHOD(NAME) stands for method_NAME. A new
 * method is a file in this folder and a line here. No include guard: method.h and registry.c each
 * read it. */
METHOD(uni_audio)
METHOD(uni_video)
METHOD(ensemble)
METHOD(vanilla)
METHOD(synib)
METHOD(masking_only)
METHOD(dnr)
METHOD(mmpareto)
METHOD(reconboost)
METHOD(mcr)
